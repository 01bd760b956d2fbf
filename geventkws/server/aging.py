"""Connections that are old enough are asked to end, so that load balancers can redistribute them."""

from __future__ import annotations

from random import uniform
from time import monotonic

from geventkws.http.connection import HTTPConnection
from geventkws.loop.channel import Channel
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.websocket.connection import WebSocketConnection

LEAST_SHARE = 0.9
"""The least share of the age that a connection gets: those that came together should not return together."""


class Aging:
    """Knows when the connections of a server are too old; exists only if their age is limited."""

    def __init__(self, max_age: float) -> None:
        """Let connections stay open for ``max_age`` seconds, or up to a tenth less."""
        self._max_age = max_age
        self._ends: dict[Channel, float] = {}

    def begin(self, channel: Channel) -> None:
        """Count the age of a connection from now on."""
        self._ends[channel] = monotonic() + self._max_age * uniform(LEAST_SHARE, 1)

    def forget(self, channel: Channel) -> None:
        """Forget a connection that is over. Idempotent."""
        self._ends.pop(channel, None)

    def check(self, channel: Channel, now: float) -> None:
        """Ask a connection that is too old to end: a WebSocket at once, HTTP with its next response."""
        if now < self._ends.get(channel, now + 1):
            return
        owner = channel.owner
        if isinstance(owner, WebSocketConnection):
            owner._leave(WebSocketCloseReasonCode.SERVICE_RESTART, "This connection has lived long enough")
        elif isinstance(owner, HTTPConnection):
            owner.stream.hurried = True
