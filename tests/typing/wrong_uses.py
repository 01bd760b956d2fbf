"""Mistakes in a user's program: each line followed by one of mypy's codes has an error with that code."""

from __future__ import annotations

from geventkws import (
    HandshakeError,
    WebSocket,
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
    connection_timeout = "60"  # error: assignment
    subprotocols = 5  # error: assignment
    max_message_size = None  # error: assignment
    max_message_rate = "5/s"  # error: assignment
    rate_policy = "drop"  # error: assignment
    compression = "deflate"  # error: assignment

    def connecting(self, request: Request) -> bool:  # error: override
        return True

    async def connected(self, connection: WebSocketConnection) -> None:  # error: override
        pass

    def received(self, message: str | bytes) -> None:  # error: override
        pass

    def received_text(self, message: int, connection: WebSocketConnection) -> None:  # error: override
        pass


class Echo(WebSocketService):
    def run(self, connection: WebSocketConnection) -> None:
        connection.send(5)  # error: arg-type
        connection.send("text", "binary")  # error: arg-type
        connection.close("bye")  # error: arg-type
        connection.close(1000, b"bye")  # error: arg-type
        connection.ping(5)  # error: arg-type
        connection.receive("5")  # error: arg-type
        connection.recieve()  # error: attr-defined
        broadcast("text", [connection])  # error: arg-type
        broadcast({"id": connection}, "text")  # error: dict-item
        raise HandshakeError("Members only", 403)  # error: arg-type


sockets = Sockets(5)  # error: arg-type
sockets.route("/room", alowed_origins="*")  # error: call-arg
sockets.route("/room", allowed_origins=5)  # error: arg-type
sockets.route("/room", connection_timeout="5")  # error: arg-type
sockets.route("/room", strict_slashes="no")  # error: arg-type
sockets.route(room="/room")  # error: call-arg
sockets.service("/chat", allowed_origins="*")  # error: call-arg
sockets.service("/chat", request_context="yes")  # error: arg-type
sockets.service("/chat")(5)  # error: type-var
sockets.service("/chat")("Chat")  # error: type-var

accept({}, Echo)  # error: arg-type
accept({}, Echo(), ["room"])  # error: arg-type
accept(Echo(), {})  # error: arg-type

connect(Echo(), "/", max_conections=5)  # error: call-arg
connect(Echo(), "/", max_connections="5")  # error: arg-type
connect(Echo(), 5)  # error: arg-type
connect(Echo(), headers=["Cookie"])  # error: arg-type
connect(Echo(), timeout=None)  # error: arg-type
connect("echo")  # error: arg-type
connect(Echo()).send(5)  # error: arg-type
connect(Echo()).recieve()  # error: attr-defined


def test(websocket_server: ServerFactory) -> None:
    websocket_server(Echo(), max_conections=5)  # error: call-arg
    websocket_server(Echo(), certfile=5)  # error: arg-type
    websocket_server("echo")  # error: arg-type
    websocket_server(Echo()).port = "5"  # error: assignment


WebSocket.register(Echo, "chat")  # error: arg-type
WebSocket.register("chat", Echo())  # error: arg-type
WebSocket.register(Echo(), path="chat")  # error: call-arg

WebSocketServer(("", 8080), max_conections=5)  # error: call-arg
WebSocketServer(("", 8080), max_connections="5")  # error: arg-type
WebSocketServer(("", 8080), head_timeout="10s")  # error: arg-type
WebSocketServer(("", 8080), close_timeout=None)  # error: arg-type
WebSocketServer(("", 8080), max_head_size=1.5)  # error: arg-type
WebSocketServer(("", 8080), proxy_protocol="yes")  # error: arg-type
WebSocketServer(("", 8080), trusted_proxies=5)  # error: arg-type
WebSocketServer(("", 8080), services=[Echo()])  # error: arg-type
WebSocketServer(("", 8080), 5)  # error: arg-type
WebSocketServer(("", 8080), certfile=5)  # error: arg-type
WebSocketServer(("", "8080"))  # error: arg-type
WebSocketServer(("", 8080), upgrade_origins=5)  # error: arg-type
WebSocketServer(None)  # error: arg-type
