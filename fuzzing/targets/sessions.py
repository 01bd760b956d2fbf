"""Whole sessions over a socket pair: the server outlives every peer, and the service is told of each end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import gevent

from fuzzing.inputs import Input, cut
from geventkws import ServiceRegistry, WebSocketConnection, WebSocketService
from geventkws.testing.portless import PortlessServer

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
PATIENCE = 10.0
"""Seconds that a session may take to end after the peer has gone."""


HELLO = bytes.fromhex("818537fa213d7f9f4d5158")

SEEDS = (
    b"\0" + cut(HELLO + bytes.fromhex("888237fa213d3412")),
    b"\0" + cut(bytes.fromhex("c18700000000f248cdc9c90700"), 3),
    b"\1" + cut(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    b"\1" + cut(UPGRADE + HELLO, 16),
)


class Echo(WebSocketService):
    """Sends messages back, and counts what it is told."""

    compression = True
    max_message_size = 100_000

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str]] = Counter()

    def connected(self, connection: WebSocketConnection) -> None:
        """Count it."""
        self.told["connected", connection.id] += 1

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Send it back."""
        connection.send(message)

    def disconnected(self, connection: WebSocketConnection, reason: Any) -> None:
        """Count it."""
        self.told["disconnected", connection.id] += 1


class Complaints(logging.Handler):
    """Keeps the errors that are logged: no peer may cause one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(self.format(record))


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Read the body, and send it back (PEP 3333)."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


class Session:
    """A server for one session, and the peer's end of it."""

    def __init__(self) -> None:
        self.service = Echo()
        services = ServiceRegistry()
        services.register(self.service, "/echo")
        self.server = PortlessServer(
            application, services, close_timeout=0.05, stop_timeout=0.05, block_warning=None
        )
        self.server.start()
        self.peer = self.server.pair()
        self.peer.settimeout(0.05)

    def send(self, data: bytes) -> bool:
        """Send a piece as far as the server takes it; return whether the session goes on."""
        try:
            self.peer.sendall(data)
        except OSError:
            return False
        gevent.sleep(0)
        return True

    def receive(self) -> None:
        """Read what has arrived, if anything."""
        try:
            self.peer.recv(65536)
        except OSError:
            return

    def end(self) -> None:
        """Leave, and check that the server and the service have noticed."""
        self.peer.close()
        with gevent.Timeout(PATIENCE, AssertionError("the session has not ended")):
            while self.server.websockets or self.server.http_connections:
                gevent.sleep(0.001)
        self.server.close()
        told = self.service.told
        connections = {identity for _event, identity in told}
        assert all(told["connected", each] == told["disconnected", each] == 1 for each in connections), told


def one_input(data: bytes) -> None:
    """Be a peer that sends these pieces, reads now and then, and leaves."""
    given = Input(data)
    complaints = Complaints()
    logging.getLogger("geventkws").addHandler(complaints)
    session = Session()
    try:
        goes_on = session.send(UPGRADE) if given.choose([True, False]) else True
        for piece in given.pieces():
            if not goes_on:
                break
            goes_on = session.send(piece)
            if piece[:1] == b"\x8a":
                session.receive()
    finally:
        session.end()
        logging.getLogger("geventkws").removeHandler(complaints)
    assert complaints.lines == []
