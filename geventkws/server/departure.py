"""When a server stops, its WebSockets are asked to leave, all at once or spread over a period."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from time import monotonic

import gevent

from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.websocket.connection import WebSocketConnection

STEP = 0.05
"""Seconds between two groups that are asked together."""

LAST_TURN = 0.9
"""The share of the remaining time within which all are asked, so that the last ones can still answer."""


class Departure:
    """Asks WebSockets to leave, with ``reason``."""

    def __init__(
        self, websockets: Sequence[WebSocketConnection], reason: WebSocketCloseReasonCode, window: float
    ) -> None:
        """Spread the requests over ``window`` seconds."""
        self._websockets = websockets
        self._reason = reason
        self._window = window
        self._asked = 0

    def run(self, end: Callable[[], float]) -> None:
        """Ask all of them, and return when that is done, but before ``end()``, which may become earlier."""
        began = monotonic()
        while True:
            now = monotonic()
            window = min(self._window, LAST_TURN * (end() - began))
            self.ask((now - began) / window if now - began < window else 1.0)
            if self._asked == len(self._websockets):
                return
            gevent.sleep(STEP)

    def ask(self, share: float) -> None:
        """Ask as many as it takes until this ``share`` of all has been asked."""
        due = ceil(share * len(self._websockets))
        for connection in self._websockets[self._asked : due]:
            connection._leave(self._reason)
        self._asked = max(self._asked, due)
