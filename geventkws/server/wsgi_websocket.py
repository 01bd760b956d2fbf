"""``environ["wsgi.websocket"]``: a WebSocket with the interface of gevent-websocket, on our frames.

It is there in every upgrade request that reaches the application, but the handshake is answered only when
something of it is used: until then, the application may still refuse.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, ClassVar
from uuid import uuid4
from weakref import WeakKeyDictionary

from geventkws.http.takeover import OnEnd, Takeover
from geventkws.net.address import Address
from geventkws.protocol.opcodes import BINARY, PING, TEXT
from geventkws.protocol.origin import ANY_ORIGIN
from geventkws.server.acceptance import Acceptor
from geventkws.service import WebSocketService
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.held import has_ended, let_go

WEBSOCKET = "wsgi.websocket"
"""The key of the WebSocket in the environ of an upgrade request."""

VERSION_KEY = "wsgi.websocket_version"
"""The key of the version of the protocol, as the client has sent it."""

# The words are those of gevent-websocket, since applications compare them.
MSG_SOCKET_DEAD = "Socket is dead"
MSG_ALREADY_CLOSED = "Connection is already closed"
MSG_CLOSED = "Connection closed"


class WebSocketError(OSError):
    """The connection has ended. Where gevent-websocket is imported, this is also its ``WebSocketError``."""


class ApplicationWebSockets(WebSocketService):
    """The service of connections that are held by an application."""

    allowed_origins = ANY_ORIGIN  # they have been checked, by the option upgrade_origins

    def __init__(
        self, protocol: str | None, connection_timeout: float | None, max_message_size: int, compression: bool
    ) -> None:
        self.subprotocols = (protocol,) if protocol else ()
        self.connection_timeout = connection_timeout
        self.max_message_size = max_message_size
        self.compression = compression


_service = lru_cache(ApplicationWebSockets)


def hold_for_application(
    acceptor: Acceptor,
    on_end: OnEnd,
    protocol: str | None = None,
    connection_timeout: float | None = None,
    max_message_size: int | None = None,
) -> WebSocketConnection | None:
    """Do what ``Acceptor.hold`` does, for a connection with this subprotocol and these limits.

    A ``max_message_size`` of ``None`` is that of the server's options.
    """
    options = acceptor.options
    size = options.upgrade_max_message_size if max_message_size is None else max_message_size
    service = _service(protocol, connection_timeout, size, options.upgrade_compression)
    return acceptor.hold(service, on_end)


class Client:
    """An entry of ``clients``: the ``address`` of a client, and its WebSocket, ``ws``."""

    def __init__(self, address: Any, ws: WSGIWebSocket) -> None:
        self.address = address
        self.ws = ws


_clients: WeakKeyDictionary[Any, dict[Any, Client]] = WeakKeyDictionary()


def clients_of(server: object) -> dict[Any, Client]:
    """Return the open WebSockets of a server's application, by the addresses of their clients."""
    return _clients.setdefault(server, {})


class HandlerServer:
    """``handler.server``: ``clients``, and whatever else the server itself has."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.clients = clients_of(server)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


class Handler:
    """``handler``: what applications look up in gevent-websocket's handler of a request."""

    def __init__(self, server: object, websocket: WSGIWebSocket, address: Any) -> None:
        self.server = HandlerServer(server)
        self.websocket = websocket
        self.client_address = address

    @property
    def environ(self) -> dict[str, Any]:
        """The environ of the request."""
        return self.websocket.environ

    @property
    def active_client(self) -> Client:
        """The entry of ``server.clients`` for this connection."""
        return self.server.clients[self.client_address]


class WSGIWebSocket:
    """A WebSocket as applications for gevent-websocket use it: ``geventwebsocket.websocket.WebSocket``.

    Reading ``environ``, ``path``, ``origin``, ``protocol`` or ``version`` is not yet a use. Any use may raise
    ``HandshakeError``, which becomes the answer, and ``RuntimeError`` after the request has been answered, or
    if the first use is in a native thread.
    """

    OPCODE_TEXT: ClassVar[int] = TEXT
    OPCODE_BINARY: ClassVar[int] = BINARY
    OPCODE_PING: ClassVar[int] = PING

    def __init__(
        self,
        server: Any,
        acceptor: Acceptor,
        takeover: Takeover,
        address: Address,
    ) -> None:
        self._server = server
        self._acceptor = acceptor
        self._takeover = takeover
        # Applications for gevent-websocket expect an open WebSocket and need not call start_response.
        takeover.if_unanswered = self._use
        self._address: Any = address
        self._environ: dict[str, Any] = {}
        self._connection: WebSocketConnection | None = None
        self._handler: Handler | None = None
        self._is_used = False
        self._is_told = False  # that the connection has ended

    # Of the request

    @property
    def environ(self) -> dict[str, Any]:
        """The environ of the request."""
        return self._environ or self._takeover.environ

    @property
    def path(self) -> str:
        """``PATH_INFO``."""
        path: str = self.environ.get("PATH_INFO", "")
        return path

    @property
    def origin(self) -> str | None:
        """The request's ``Origin``."""
        return self.environ.get("HTTP_ORIGIN")

    @property
    def protocol(self) -> str | None:
        """The subprotocols that the client has offered."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")

    @property
    def version(self) -> str | None:
        """The version of the WebSocket protocol."""
        return self.environ.get("HTTP_SEC_WEBSOCKET_VERSION")

    # Of the connection

    @property
    def handler(self) -> Handler:
        """An object with ``server``, ``client_address``, ``active_client`` and ``environ``."""
        self._use()
        return self._handler or Handler(self._server, self, self._address)

    @property
    def closed(self) -> bool:
        """Whether the connection has been closed, and all messages from before that were received."""
        connection = self._use()
        return connection is None or self._is_told or has_ended(connection)

    def receive(self) -> str | bytearray | None:
        """Wait for the next message: ``str`` or, if binary, ``bytearray``; ``None`` at the end.

        Raises ``WebSocketError`` when it is called again after the end.
        """
        connection = self._use()
        if connection is None or self._is_told:
            raise _error(MSG_ALREADY_CLOSED)
        try:
            message = connection.receive()
        except ConnectionClosed:
            self._is_told = True
            return None
        return message if isinstance(message, str) else bytearray(message)

    read_message = receive

    def send(self, message: object, binary: bool | None = None) -> None:
        """Send a message: as text if it is a ``str``, otherwise as binary; ``binary`` overrides this.

        Raises ``WebSocketError`` if the connection has ended.
        """
        connection = self._use()
        if connection is None or self._is_told or not connection.active:
            raise _error(MSG_SOCKET_DEAD)
        if binary is False and not isinstance(message, (str, bytes, bytearray, memoryview)):
            message = "" if message is None else str(message)
        taken: Any = message
        if not connection.send(taken, binary):
            raise _error(MSG_SOCKET_DEAD)

    def send_frame(self, message: str | bytes, opcode: int) -> None:
        """Send a message (``OPCODE_TEXT``, ``OPCODE_BINARY``) or a ping (``OPCODE_PING``).

        Raises what ``send`` does, and ``ValueError`` for any other opcode.
        """
        if opcode in (TEXT, BINARY):
            self.send(message, opcode == BINARY)
        elif opcode == PING:
            connection = self._use()
            if connection is None or self._is_told or not connection.ping(message):
                raise _error(MSG_ALREADY_CLOSED)
        else:
            raise ValueError(f"send_frame sends texts, binary messages and pings, not the opcode {opcode!r}")

    def close(self, code: int = 1000, message: str | bytes = b"") -> None:
        """Close the connection with this code and text. Does nothing if it is closed.

        Raises ``ValueError`` for a code that may not be sent, or a text of more than 123 bytes.
        """
        connection = self._use()
        if connection is not None:
            connection.close(code, message if isinstance(message, str) else str(message or b"", "utf-8"))
        self._is_told = True

    # How it begins and ends

    def _use(self) -> WebSocketConnection | None:
        """Return the connection, after answering the handshake; ``None`` if the client had gone by then."""
        if not self._is_used:
            self._connection = hold_for_application(self._acceptor, self._end, self._subprotocol())
            self._is_used = True
            self._environ = self._takeover.environ
            self._enter()
        return self._connection

    def _subprotocol(self) -> str:
        """Return the subprotocol that the application, a ``Resource`` for example, speaks on the path."""
        application = self._server.application
        chosen = getattr(application, "app_protocol", None)
        return str(chosen(self.path) or "") if callable(chosen) else ""

    def _enter(self) -> None:
        """Join the server's clients. Behind a proxy or on a Unix socket, several may have one address."""
        clients = clients_of(self._server)
        if self._address in clients:
            self._address = (self._address, uuid4().hex)
        self._handler = Handler(self._server, self, self._address)
        clients[self._address] = Client(self._address, self)

    def _end(self, error: BaseException | None) -> bool:
        """Close, since the request is over; return whether ``error`` only says that the client has gone."""
        connection = self._connection
        has_gone = isinstance(error, WebSocketError) and self.closed
        self._is_told = True
        self._environ[WEBSOCKET] = None
        clients_of(self._server).pop(self._address, None)
        self._handler = None  # it leads back here: kept after the end, it would be a cycle
        if connection is not None:
            let_go(connection, failed=error is not None and not has_gone)
        return has_gone


def _error(message: str) -> WebSocketError:
    theirs = getattr(sys.modules.get("geventwebsocket.exceptions"), "WebSocketError", WebSocketError)
    return _error_type(theirs)(message)


@lru_cache(1)
def _error_type(theirs: type[OSError]) -> type[WebSocketError]:
    """Return a type of errors that ``except`` clauses with our class and with ``theirs`` catch."""
    if issubclass(WebSocketError, theirs):
        return WebSocketError
    return type("WebSocketError", (WebSocketError, theirs), {"__doc__": WebSocketError.__doc__})
