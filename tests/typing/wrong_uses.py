"""Mistakes in a user's program: each line followed by one of mypy's codes has an error with that code."""

from __future__ import annotations

from geventkws import (
    HandshakeError,
    WebSocket,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
    broadcast,
)
from geventkws.request import Request


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
WebSocketServer(None)  # error: arg-type
