"""The connections of a server, and the clock that enforces their time limits."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

from gevent.hub import Hub

from geventkws.backend import use_compiled
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.loop.pump import ClientEnd
from geventkws.net.address import Address
from geventkws.server.aging import Aging
from geventkws.websocket.connection import WebSocketConnection

LONGEST_INTERVAL = 1.0
STEPS_PER_LIMIT = 8


class Connections:
    """The table of a server's connections, all of them checked once a second, or more often for short limits.

    A limit of ``t`` seconds is enforced at most ``min(1, t / 8)`` seconds late. A timer per
    connection would be more exact, but would cost every idle connection memory.
    """

    def __init__(self, loop: Loop, max_age: float | None = None) -> None:
        """Ask connections to end when they are ``max_age`` seconds old; ``None`` is no limit."""
        # A dictionary takes half the memory of a set. The values are what ``Admission`` has counted.
        self.peers: dict[Channel, Address | None] = {}
        self.loop = loop
        """The loop of the hub in which they are served."""
        self._interval = LONGEST_INTERVAL
        self._timer: Any = None
        self._aging = None if max_age is None else Aging(max_age)

    def add(self, channel: Channel) -> None:
        """Add a connection that has not been counted yet."""
        self.peers[channel] = None
        if self._aging is not None:
            self._aging.begin(channel)

    def remove(self, channel: Channel) -> Address | None:
        """Remove a connection that is over; return the address it was counted under. Idempotent."""
        if self._aging is not None:
            self._aging.forget(channel)
        return self.peers.pop(channel, None)

    @property
    def websockets(self) -> list[WebSocketConnection]:
        """The WebSocket connections that are not over."""
        owners = (channel.owner for channel in list(self.peers))
        return [owner for owner in owners if isinstance(owner, WebSocketConnection)]

    def descriptors(self) -> Iterator[int]:
        """Yield the descriptors of all connections, and of the other ends of those that are pumped."""
        for channel in self.peers:
            owner = channel.owner
            for each in (channel, owner.other.channel) if isinstance(owner, ClientEnd) else (channel,):
                # An application may have closed the one that it has taken.
                if each.is_open and (descriptor := each.transport.fileno()) >= 0:
                    yield descriptor

    def watch(self, limit: float | None) -> None:
        """Check often enough for a time limit of ``limit`` seconds; ``None`` is no limit."""
        if limit and limit / STEPS_PER_LIMIT < self._interval:
            self._interval = limit / STEPS_PER_LIMIT
            if self._timer is not None:
                self.stop_clock()
                self.start_clock()

    def start_clock(self) -> None:
        """Start the timer, which alone does not keep the hub alive."""
        hub: Hub = self.loop.hub
        self._timer = hub.loop.timer(self._interval, self._interval, ref=False)
        self._timer.start(self._tick)

    def stop_clock(self) -> None:
        """Stop the timer. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _tick(self) -> None:
        now = monotonic()
        for channel in list(self.peers):
            self.loop.guard(channel.owner._check, now)
            if self._aging is not None:
                self.loop.guard(self._aging.check, channel, now)
        self.loop.flush()


use_compiled(__name__, globals())
