"""The names of gevent-websocket (``geventwebsocket``), on the server and the frames of geventkws.

An application that finds its WebSocket in ``environ["wsgi.websocket"]`` needs none of them.
"""

from geventkws.compat.geventwebsocket.exceptions import WebSocketError
from geventkws.compat.geventwebsocket.resource import Resource, WebSocketApplication
from geventkws.compat.geventwebsocket.server import WebSocketServer

__all__ = ["Resource", "WebSocketApplication", "WebSocketError", "WebSocketServer"]
