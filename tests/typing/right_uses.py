"""A user's program, with which a type checker finds no fault."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gevent.socket
from flask import Blueprint, Flask

from geventkws import (
    ConnectionClosed,
    HandshakeError,
    PerMessageDeflate,
    ServiceRegistry,
    WebSocket,
    WebSocketCloseReasonCode,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
    accept,
    broadcast,
)
from geventkws.flask import Sockets
from geventkws.request import Request
from geventkws.testing import ServerFactory, connect


class Chat(WebSocketService):
    connection_timeout = 60
    subprotocols = ("chat",)
    allowed_origins = ["https://example.com"]  # noqa: RUF012  # as users write it
    max_message_size = 1024
    max_message_rate = 10
    max_byte_rate = 1e6
    rate_policy = "close"
    compression = PerMessageDeflate(level=5)

    def __init__(self) -> None:
        self.connections: dict[str, WebSocketConnection] = {}

    def connecting(self, request: Request) -> None:
        if "session" not in request.cookies:
            raise HandshakeError(401, "Log in first", {"WWW-Authenticate": "Cookie"})

    def connected(self, connection: WebSocketConnection) -> None:
        connection.context.user = connection.request.cookies["session"]
        self.connections[connection.id] = connection

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        if isinstance(message, bytes):
            connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Only text")
        else:
            broadcast(self.connections.values(), message.upper())

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        del self.connections[connection.id]


class Echo(WebSocketService):
    def run(self, connection: WebSocketConnection) -> None:
        first: str | bytes = connection.receive(timeout=1.5)
        connection.send(first, as_binary=True, compress=False)
        for message in connection:
            connection.send(message)
        connection.ping("still there?")
        connection.drop(4000, "gone")


app = Flask("site")
sockets = Sockets(app, url_prefix="/ws")
Sockets(Blueprint("chat", "chat")).init_app(app)


@sockets.route(
    "/rooms/<int:room>", endpoint="room", allowed_origins="*", connection_timeout=60, strict_slashes=False
)
def room(connection: WebSocketConnection, room: int) -> None:
    while True:
        try:
            message = connection.receive(timeout=5)
        except (TimeoutError, ConnectionClosed):
            break
        connection.send(message)


@sockets.service("/chat", decorators=[lambda view: view], request_context=True, defaults={"room": 1})
class SocketsChat(Chat):
    pass


sockets.service("/other", subdomain="www")(Chat())


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    sock = environ["geventkws.socket"] if environ["PATH_INFO"] == "/raw" else None
    return [] if sock else accept(environ, Chat(), {"room": 7})


def test_without_a_port() -> None:
    with connect(
        Chat(), "/chat", headers={"Cookie": "a=b"}, origin="null", max_fragments=5, timeout=2
    ) as client:
        client.send(b"hello")
        received: str | bytes = client.receive(timeout=1)
        broadcast([client.connection], received)
        client.settle()
        client.close(1000, "bye")
        assert client.reason is WebSocketCloseReasonCode.NORMAL


def test_with_a_port(websocket_server: ServerFactory) -> None:
    running = websocket_server(Chat(), "/chat", application=application, certfile="c.pem", max_connections=2)
    running.connect("/chat", subprotocols=["chat"]).close()
    websocket_server(services=ServiceRegistry(), spawn=100).url(scheme="http")


def servers(registry: ServiceRegistry) -> list[WebSocketServer]:
    WebSocket.register(Chat(), on_path="chat")
    registry.register(Echo(), "/echo/<name>")
    return [
        WebSocketServer(("", 8080)),
        WebSocketServer("localhost:8080", None, registry),
        WebSocketServer("unix:/run/app.sock", services=registry, max_connections=5, head_timeout=None),
        WebSocketServer(8080, close_timeout=1, trusted_proxies=["10.0.0.0/8"], proxy_protocol=True),
        WebSocketServer(("::", 443, 0, 0), certfile=Path("cert.pem"), keyfile="key.pem", server_header=None),
        WebSocketServer(8080, application, upgrade_origins="*"),
        WebSocketServer(socket.create_server(("", 0)), backlog=100, spawn=1000),
        WebSocketServer(
            gevent.socket.socket(), certificates={"example.org": ("cert.pem", None)}, certfile="c"
        ),
    ]
