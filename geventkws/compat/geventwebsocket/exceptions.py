"""The exceptions of ``geventwebsocket.exceptions`` that can occur."""

from geventkws.server.wsgi_websocket import WebSocketError

__all__ = ["WebSocketError"]
