"""simple-websocket's ``Server`` on our frames, with its semantics.

The class itself is changed, so its subclasses and whoever has imported it already are served, too. Under
another server than ours, it does what it always did.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import Any

import simple_websocket
from wsproto.events import Request
from wsproto.frame_protocol import CloseReason

from geventkws.protocol.tokens import tokens
from geventkws.server.acceptance import ACCEPTOR, Acceptor
from geventkws.server.wsgi_websocket import hold_for_application
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.held import end_of, has_ended, let_go

_HELD = "_geventkws_held"
"""The attribute of a ``Server`` on our frames that has its ``Held``."""


class Held:
    """The connection of one ``Server``."""

    def __init__(self, server: Any, acceptor: Acceptor) -> None:
        """Answer the handshake. Raises ``HandshakeError`` to refuse, and simple-websocket's own errors."""
        self._server: Any = weakref.proxy(server)  # which has this object
        self._is_closed = False  # by the application
        # Silence for one interval brings a ping, and for another one, the end.
        timeout = 2 * server.ping_interval if server.ping_interval else None
        connection = hold_for_application(
            acceptor, self._end, _subprotocol(server), timeout, server.max_message_size
        )
        if connection is None:
            raise simple_websocket.ConnectionError()
        self._connection: WebSocketConnection = connection
        server.subprotocol = connection.subprotocol

    @property
    def is_connected(self) -> bool:
        """Whether neither side has closed, or messages from before that are left."""
        return not (self._is_closed or has_ended(self._connection))

    def send(self, data: object) -> None:
        """Send ``bytes`` as a binary message, and anything else as text."""
        message = data if isinstance(data, bytes) else str(data)
        if self._is_closed or not self._connection.send(message):
            raise self._closed(end_of(self._connection))

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next message, or ``None`` if there is none within ``timeout`` seconds."""
        if self._is_closed:
            raise self._closed(end_of(self._connection))
        try:
            return self._connection.receive(timeout)
        except TimeoutError:
            return None
        except ConnectionClosed as end:
            raise self._closed(end.reason) from None

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Close the connection."""
        if not self.is_connected:
            raise self._closed(end_of(self._connection))
        self._connection.close(reason or CloseReason.NORMAL_CLOSURE, message)
        self._is_closed = True

    def _closed(self, code: int) -> Exception:
        server = self._server
        try:
            server.close_reason = CloseReason(code)
        except ValueError:  # one of the application's own
            server.close_reason = int(code)
        server.close_message = self._connection.close_description or None
        error: Exception = simple_websocket.ConnectionClosed(server.close_reason, server.close_message)
        return error

    def _end(self, error: BaseException | None) -> bool:
        """Close, since the request is over; return whether ``error`` only says that the client has gone."""
        has_gone = isinstance(error, simple_websocket.ConnectionClosed)
        self._is_closed = True
        if hasattr(self, "_connection"):
            let_go(self._connection, failed=error is not None and not has_gone)
        return has_gone


def _subprotocol(server: Any) -> str | None:
    """Let the ``Server``, which may be of a subclass, choose a subprotocol."""
    environ = server.environ
    offered = tokens([environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "")])
    request = Request(environ.get("HTTP_HOST", ""), environ.get("PATH_INFO", ""), subprotocols=list(offered))
    chosen: str | None = server.choose_subprotocol(request)
    return chosen


def install() -> None:
    """Change the class, unless that has been done."""
    server: Any = simple_websocket.Server
    if isinstance(vars(server).get("connected"), property):
        return
    server.__init__ = _initializing(server.__init__)
    for name in ("send", "receive", "close"):
        setattr(server, name, _choosing(name, getattr(server, name)))
    server.connected = property(_is_connected, _set_connected)


def _initializing(original: Callable[..., None]) -> Callable[..., None]:
    @wraps(original)
    def initialize(
        self: Any,
        environ: dict[str, Any],
        subprotocols: Any = None,
        receive_bytes: int = 4096,
        ping_interval: float | None = None,
        max_message_size: int | None = None,
        **classes: Any,
    ) -> None:
        acceptor = environ.get(ACCEPTOR)
        if not isinstance(acceptor, Acceptor):
            original(self, environ, subprotocols, receive_bytes, ping_interval, max_message_size, **classes)
            return
        self.environ = environ
        self.subprotocols = [subprotocols] if isinstance(subprotocols, str) else subprotocols or []
        self.receive_bytes, self.ping_interval = receive_bytes, ping_interval
        self.max_message_size = max_message_size
        self.mode = "gevent"
        self.close_reason, self.close_message = CloseReason.NO_STATUS_RCVD, None
        setattr(self, _HELD, Held(self, acceptor))

    return initialize


def _choosing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def choose(self: Any, *args: Any, **kwargs: Any) -> Any:
        held = vars(self).get(_HELD)
        return original(self, *args, **kwargs) if held is None else getattr(held, name)(*args, **kwargs)

    return choose


def _is_connected(self: Any) -> bool:
    held: Held | None = vars(self).get(_HELD)
    connected: bool = vars(self)["connected"] if held is None else held.is_connected
    return connected


def _set_connected(self: Any, connected: bool) -> None:
    vars(self)["connected"] = connected
