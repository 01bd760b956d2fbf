"""The clock of a server: one timer that looks after the time limits of all its connections."""

from __future__ import annotations

from time import monotonic
from typing import Any

from gevent.hub import Hub

from geventkws.connection import WebSocketConnection
from geventkws.frameloop import FrameLoop
from geventkws.request import RemoteAddress
from geventkws.stream import Stream

LONGEST_INTERVAL = 1.0
STEPS_PER_LIMIT = 8


class Sweep:
    """Visits every connection each second, or more often where a shorter time limit asks for it.

    A limit of ``t`` seconds is enforced at most ``min(1, t / 8)`` seconds late. A timer per
    connection would be more exact, and cost each idle connection memory.
    """

    def __init__(self, loop: FrameLoop) -> None:
        self.streams: set[Stream] = set()
        # A dictionary takes half the memory of a set; the values are the server's.
        self.websockets: dict[WebSocketConnection, RemoteAddress] = {}
        self._loop = loop
        self._interval = LONGEST_INTERVAL
        self._timer: Any = None

    def watch(self, limit: float | None) -> None:
        """See to it that a time limit of ``limit`` seconds is enforced in time; ``None`` is no limit."""
        if limit and limit / STEPS_PER_LIMIT < self._interval:
            self._interval = limit / STEPS_PER_LIMIT
            if self._timer is not None:
                self.stop()
                self.start()

    def start(self) -> None:
        """Start the timer; it does not keep the hub alive by itself."""
        hub: Hub = self._loop.hub
        self._timer = hub.loop.timer(self._interval, self._interval, ref=False)
        self._timer.start(self._tick)

    def stop(self) -> None:
        """Stop the timer. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _tick(self) -> None:
        now = monotonic()
        for stream in list(self.streams):
            self._loop.guard(stream.expire, now)
        for connection in list(self.websockets):
            self._loop.guard(connection.sweep, now)
        self._loop.flush()
