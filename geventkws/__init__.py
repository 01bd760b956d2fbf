"""WebSocket services beside a WSGI application, on gevent."""

from geventkws.backend import BACKEND
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.refusals import HandshakeError
from geventkws.registry import ServiceRegistry, WebSocket
from geventkws.request import QueryParameters, Request
from geventkws.server.acceptance import accept
from geventkws.server.server import WebSocketServer
from geventkws.service import WebSocketService
from geventkws.version import __version__
from geventkws.websocket.broadcast import broadcast
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.connection import WebSocketConnection

__all__ = [
    "BACKEND",
    "ConnectionClosed",
    "HandshakeError",
    "PerMessageDeflate",
    "QueryParameters",
    "Request",
    "ServiceRegistry",
    "WebSocket",
    "WebSocketCloseReasonCode",
    "WebSocketConnection",
    "WebSocketServer",
    "WebSocketService",
    "__version__",
    "accept",
    "broadcast",
]
