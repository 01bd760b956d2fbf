"""What is counted for the connections of a service, if an observer asks for it: see ``server.observer``.

Each connection counts its messages and bytes in any case. Here they are only added up: once when a connection
is over, and for open connections whenever somebody asks.
"""

from __future__ import annotations

from geventkws.backend import use_compiled
from geventkws.loop import leaf
from geventkws.loop.durations import Durations
from geventkws.protocol.endpoint import Endpoint


class Totals:
    """What has gone over some connections, all together."""

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "bytes_waiting",
        "connections",
        "messages_received",
        "messages_sent",
    )

    def __init__(self) -> None:
        self.connections = 0
        self.messages_received = 0
        self.bytes_received = 0
        self.messages_sent = 0
        self.bytes_sent = 0
        self.bytes_waiting = 0
        """Bytes that were sent but that the sockets have not taken."""

    def add(self, endpoint: Endpoint) -> None:
        """Add the connection that has this endpoint."""
        self.connections += 1
        self.messages_received += endpoint.messages_received
        self.bytes_received += endpoint.bytes_received
        self.messages_sent += endpoint.messages_sent
        self.bytes_sent += endpoint.bytes_sent
        self.bytes_waiting += endpoint.output_size


class Tally:
    """The connections of one service: those that are over, and those that are open."""

    __slots__ = ("callbacks", "closed", "ended", "open")

    def __init__(self) -> None:
        self.callbacks = Durations()
        """How long the service's callbacks took."""
        self.ended = Totals()
        self.open = Totals()
        """The open connections, as of the last count."""
        self.closed: dict[str, int] = {}
        """How many have ended, by close code."""

    def called(self, began: float) -> float:
        """Count a callback that ``began`` then and has now returned; return the time (``monotonic``)."""
        now = leaf.monotonic()
        self.callbacks.observe(now - began)
        return now


use_compiled(__name__, globals())
