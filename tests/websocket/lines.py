"""A connection on one end of a socket pair, and its peer on the other."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent

from geventkws import WebSocketCloseReasonCode as Code
from geventkws import WebSocketConnection, WebSocketService
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.net.transport import PlainTransport
from geventkws.options import ServerOptions
from geventkws.protocol.deflate import Deflate
from geventkws.service import pull_style_run
from geventkws.websocket.lifecycle import Lifecycle
from tests.raw import RawClient
from tests.waiting import PATIENCE, wait_until


class Teller(WebSocketService):
    """Does what the test gave it to do, and records how it is called."""

    def __init__(self, **acts: Callable[..., object]) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.acts = acts

    def _act(self, *told: Any, connection: WebSocketConnection) -> None:
        self.told.append(told)
        self.acts.get(told[0], lambda connection: None)(connection)

    def connected(self, connection: WebSocketConnection) -> None:
        self._act("connected", connection=connection)

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self._act("received", message, connection=connection)

    def disconnected(self, connection: WebSocketConnection, reason: Code) -> None:
        self._act("disconnected", reason, connection=connection)


class Home:
    """The host of a connection: remembers which have ended, and with which code."""

    def __init__(self, **options: Any) -> None:
        self.options = ServerOptions(**options)
        self.lifecycle = Lifecycle(self)
        self.ends: list[tuple[WebSocketConnection, int]] = []

    def websocket_closed(self, connection: WebSocketConnection, reason: int) -> None:
        self.ends.append((connection, reason))


def connection_on(
    ours: socket.socket,
    service: WebSocketService,
    deflate: Deflate | None = None,
    home: Home | None = None,
    **options: Any,
) -> WebSocketConnection:
    """Return the connection of one end of a socket pair, open, for tests of what happens in which turn."""
    request: Any = SimpleNamespace(path="/", remote_address=("192.0.2.1", 5000))
    channel = Channel(Loop.current(), PlainTransport(ours.detach()))
    connection = WebSocketConnection(
        channel,
        lifecycle=(home or Home(**options)).lifecycle,
        service=service,
        request=request,
        pulls=pull_style_run(service) is not None,
        deflate=deflate,
    )
    channel.start_reading()
    channel.queue()
    gevent.sleep(0.01)
    return connection


class Line:
    """An open connection after ``connected``, its host, and its peer."""

    def __init__(self, service: WebSocketService, **options: Any) -> None:
        ours, theirs = socket.socketpair()
        theirs.settimeout(PATIENCE)
        self.peer = RawClient(0, sock=theirs)
        self.home = Home(**options)
        self.connection = connection_on(ours, service, home=self.home)
        self.channel = self.connection._channel

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait until ``is_so()``."""
        wait_until(is_so)

    def fill(self) -> None:
        """Send until the peer, which reads nothing, takes no more."""
        while not self.channel.awaits_room:
            self.connection.send(bytes(100_000))
            self.channel.flush()

    def close(self) -> None:
        self.peer.close()
        self.connection._abandon()
        self.until(lambda: not self.connection._working)


Start = Callable[..., Line]
"""Starts a connection of a service."""
