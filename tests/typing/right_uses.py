"""A user's program, with which a type checker finds no fault."""

from __future__ import annotations

import socket
from pathlib import Path

import gevent.socket

from geventkws import (
    HandshakeError,
    PerMessageDeflate,
    ServiceRegistry,
    WebSocket,
    WebSocketCloseReasonCode,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
    broadcast,
)
from geventkws.request import Request


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


def servers(registry: ServiceRegistry) -> list[WebSocketServer]:
    WebSocket.register(Chat(), on_path="chat")
    registry.register(Echo(), "/echo/<name>")
    return [
        WebSocketServer(("", 8080)),
        WebSocketServer("localhost:8080", None, registry),
        WebSocketServer("unix:/run/app.sock", services=registry, max_connections=5, head_timeout=None),
        WebSocketServer(8080, close_timeout=1, trusted_proxies=["10.0.0.0/8"], proxy_protocol=True),
        WebSocketServer(("::", 443, 0, 0), certfile=Path("cert.pem"), keyfile="key.pem", server_header=None),
        WebSocketServer(socket.create_server(("", 0)), backlog=100, spawn=1000),
        WebSocketServer(
            gevent.socket.socket(), certificates={"example.org": ("cert.pem", None)}, certfile="c"
        ),
    ]
