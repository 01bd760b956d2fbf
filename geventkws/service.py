"""What a user writes: a service, which is told of the connections to its path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.headers import is_token
from geventkws.protocol.origin import ANY_ORIGIN, parse_origin

if TYPE_CHECKING:
    from geventkws.request import Request
    from geventkws.websocket.connection import WebSocketConnection


class WebSocketService:
    """A service at a path; subclass it and register an instance with ``WebSocket.register``.

    Its methods are called for one connection one at a time and in order, and may block: only that
    connection waits. Different connections are served concurrently.

    A service of the pull style defines ``run(connection)`` instead of ``received``. It is called once for a
    connection, takes the messages itself (``for message in connection:``), and when it returns
    the connection closes with 1000.
    """

    connection_timeout: float | None = None
    """Seconds of silence until a connection is dropped (None: never); at half of them the peer is pinged."""

    subprotocols: Sequence[str] = ()
    """The subprotocols it speaks; the one that the client prefers among them is chosen (RFC 6455, 1.9)."""

    allowed_origins: Sequence[str] | str | None = None
    """The web pages that may connect: None for those of the same host and port, ``"*"`` for any, or a list of
    origins such as ``"https://example.com"``."""

    max_message_size: int = 1024 * 1024
    """Bytes of a received message; the connection fails with 1009 beyond it."""

    compression: bool | PerMessageDeflate = False
    """Whether messages are compressed (RFC 7692), and how; ``True`` is ``PerMessageDeflate()``."""

    def connecting(self, request: Request) -> None:
        """Let a connection in by returning, or raise ``HandshakeError`` to refuse it with an HTTP answer.

        Called before the handshake is answered: the place to look at cookies and other credentials.
        """

    def connected(self, connection: WebSocketConnection) -> None:
        """Take note of a new connection."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Handle a message: a ``str`` was sent as text, ``bytes`` as binary.

        Calls ``received_text`` or ``received_binary`` unless overridden.
        """
        if isinstance(message, str):
            self.received_text(message, connection)
        else:
            self.received_binary(message, connection)

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        """Handle a text message; unless overridden, close the connection with 1003."""
        connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Text messages are not accepted here")

    def received_binary(self, message: bytes, connection: WebSocketConnection) -> None:
        """Handle a binary message; unless overridden, close the connection with 1003."""
        connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Binary messages are not accepted here")

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Take note of a connection's end: exactly one call for each of ``connected``."""


def check_service(service: object) -> WebSocketService:
    """Return ``service`` if it can serve, so that a mistake shows at registration and not at a handshake.

    Raises ``TypeError`` if it is not an instance of ``WebSocketService`` or an attribute is of another type
    than it is documented to be, and ``ValueError`` if ``subprotocols`` or ``allowed_origins`` hold something
    that no client could match, ``connection_timeout`` is not above 0 or ``max_message_size`` is negative.
    """
    if isinstance(service, type) and issubclass(service, WebSocketService):
        raise TypeError(f"register an instance, {service.__name__}(...), not the class {service.__name__}")
    if not isinstance(service, WebSocketService):
        raise TypeError(f"a service must be a WebSocketService, not {service!r}")
    owner = type(service).__name__
    if isinstance(service.subprotocols, str):
        raise TypeError(f"{owner}.subprotocols must be a list of names, not {service.subprotocols!r}")
    for subprotocol in service.subprotocols:
        if not is_token(subprotocol):
            raise ValueError(f"{owner}.subprotocols: {subprotocol!r} is no token (RFC 9110, 5.6.2)")
    _check_allowed_origins(owner, service.allowed_origins)
    _check_connection_timeout(owner, service.connection_timeout)
    _check_max_message_size(owner, service.max_message_size)
    if not isinstance(service.compression, (bool, PerMessageDeflate)):
        raise TypeError(
            f"{owner}.compression must be True, False or a PerMessageDeflate, not {service.compression!r}"
        )
    return service


def _check_connection_timeout(owner: str, timeout: object) -> None:
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{owner}.connection_timeout must be a number of seconds or None, not {timeout!r}")
    if not timeout > 0:
        raise ValueError(f"{owner}.connection_timeout must be greater than 0 (None: never), not {timeout!r}")


def _check_max_message_size(owner: str, size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"{owner}.max_message_size must be a number of bytes, not {size!r}")
    if size < 0:
        raise ValueError(f"{owner}.max_message_size must not be negative, not {size!r}")


def _check_allowed_origins(owner: str, allowed: Sequence[str] | str | None) -> None:
    if allowed is None or allowed == ANY_ORIGIN:
        return
    for origin in (allowed,) if isinstance(allowed, str) else allowed:
        if origin != "null" and parse_origin(origin) is None:
            raise ValueError(
                f"{owner}.allowed_origins: {origin!r} is no origin; write it like 'https://example.com:8443',"
                " without a path and with an international name in its xn-- form"
            )


def pull_style_run(service: WebSocketService) -> Callable[[WebSocketConnection], object] | None:
    """Return the method ``run(connection)`` of a service that takes its messages itself, or ``None``."""
    run = getattr(service, "run", None)
    return run if callable(run) else None
