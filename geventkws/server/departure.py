"""The WebSockets of a server that stops are asked to leave, all at once or spread over a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from time import monotonic

import gevent

from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.websocket.connection import WebSocketConnection

STEP = 0.05
"""Seconds between those that are asked together."""

LAST_TURN = 0.9
"""The part of the time until the end after which all have been asked, so that the last can still answer."""


class Departure:
    """Asks each of the WebSockets to leave, with ``reason``."""

    def __init__(
        self, websockets: Sequence[WebSocketConnection], reason: WebSocketCloseReasonCode, window: float
    ) -> None:
        """Spread the requests over ``window`` seconds."""
        self._websockets = websockets
        self._reason = reason
        self._window = window
        self._asked = 0

    def run(self, end: Callable[[], float]) -> None:
        """Ask them all, and return when that is done; in any case before ``end()``, which may come nearer."""
        began = monotonic()
        while True:
            now = monotonic()
            window = min(self._window, LAST_TURN * (end() - began))
            self.ask((now - began) / window if now - began < window else 1.0)
            if self._asked == len(self._websockets):
                return
            gevent.sleep(STEP)

    def ask(self, share: float) -> None:
        """Ask so many that a ``share`` of all have been asked."""
        due = ceil(share * len(self._websockets))
        for connection in self._websockets[self._asked : due]:
            connection._leave(self._reason)
        self._asked = max(self._asked, due)
