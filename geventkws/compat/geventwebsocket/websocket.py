"""The names of ``geventwebsocket.websocket``."""

from geventkws.server.wsgi_websocket import (
    MSG_ALREADY_CLOSED,
    MSG_CLOSED,
    MSG_SOCKET_DEAD,
    WSGIWebSocket,
)

WebSocket = WSGIWebSocket

__all__ = ["MSG_ALREADY_CLOSED", "MSG_CLOSED", "MSG_SOCKET_DEAD", "WebSocket"]
