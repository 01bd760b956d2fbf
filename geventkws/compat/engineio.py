"""The WebSockets of python-engineio on our frames, and so those of python-socketio and Flask-SocketIO.

For each ``async_mode``, engineio has a driver that names the class of its WebSockets. That class is replaced,
for servers that exist already, too. Under another server than ours, the class that was there does what it
always did.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from geventkws.server.acceptance import ACCEPTOR, Acceptor
from geventkws.server.wsgi_websocket import hold_for_application
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.held import let_go

DRIVERS = "engineio.async_drivers"
MODES = ("gevent", "threading")
"""The modes of servers that do not need asyncio; in ours, threads are greenlets."""

Handle = Callable[[Any], Iterable[bytes]]


class ConnectionEndedError(OSError):
    """The connection has ended, so nothing can be sent."""


class EngineWebSocket:
    """What engineio calls for an upgrade request, and uses as the WebSocket."""

    _connection: WebSocketConnection | None = None

    def __init__(self, theirs: Callable[..., Any], handle: Handle, server: Any) -> None:
        """``theirs`` is the class for other servers; ``handle`` gets the WebSocket."""
        self._theirs = theirs
        self._handle = handle
        self._server = server

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer the handshake, and return when the connection is over."""
        acceptor = environ.get(ACCEPTOR)
        if not isinstance(acceptor, Acceptor):
            answer: Iterable[bytes] = self._theirs(self._handle, self._server)(environ, start_response)
            return answer
        size = self._server.max_http_buffer_size
        self._connection = hold_for_application(acceptor, self._end, max_message_size=size)
        return self._handle(self)

    def wait(self) -> str | bytes | None:
        """Wait for the next message, and return it; ``None`` at the end."""
        if self._connection is None:
            return None
        try:
            return self._connection.receive()
        except ConnectionClosed:
            return None

    def send(self, message: str | bytes) -> None:
        """Send a message. Raises ``OSError`` if the connection has ended."""
        if self._connection is None or not self._connection.send(message):
            raise ConnectionEndedError("the connection has ended")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    def _end(self, error: BaseException | None) -> bool:
        """Close, since the request is over; return whether ``error`` only says that the client has gone."""
        has_gone = isinstance(error, ConnectionEndedError)
        if self._connection is not None:
            let_go(self._connection, failed=error is not None and not has_gone)
        return has_gone


class SimpleWebSocketWSGI:
    """Stands in for the class of this name where simple-websocket, which it needs, is not installed."""

    def __init__(self, handle: Handle, server: Any, **options: Any) -> None:
        pass

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Refuse the request."""
        raise RuntimeError("simple-websocket is not installed: serve the application with geventkws")


def install() -> None:
    """Replace the classes, unless that has been done."""
    if find_spec("simple_websocket") is None:
        module: Any = ModuleType(f"{DRIVERS}._websocket_wsgi")
        module.SimpleWebSocketWSGI = SimpleWebSocketWSGI
        sys.modules.setdefault(module.__name__, module)
    for mode in MODES:
        driver: dict[str, Any] = import_module(f"{DRIVERS}.{mode}")._async
        theirs = driver["websocket"]
        if getattr(theirs, "func", None) is not EngineWebSocket:
            driver["websocket"] = partial(EngineWebSocket, theirs)
