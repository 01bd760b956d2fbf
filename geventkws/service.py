"""What a user writes: a service, which handles the connections to its path."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypedDict

from geventkws.once import first_time
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.request import Request
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.meter import RatePolicy

logger = logging.getLogger("geventkws.server")

PUSH_STYLE = ("received", "received_text", "received_binary")
"""The callbacks that handle messages if there is no ``run``."""


class ServiceAttributes(TypedDict, total=False):
    """The attributes of a ``WebSocketService`` as keywords, for those who make one of a function."""

    connection_timeout: float | None
    subprotocols: Sequence[str]
    allowed_origins: Sequence[str] | str | None
    max_message_size: int
    max_message_rate: float | None
    max_byte_rate: float | None
    rate_burst: float
    rate_policy: RatePolicy
    compression: bool | PerMessageDeflate


class WebSocketService:
    """A service at a path; subclass it and register an instance with ``WebSocket.register``.

    For each connection, its methods are called one at a time and in order. They may block: only that
    connection waits. Different connections are served concurrently.

    A service in the pull style defines ``run(connection)`` instead of ``received``. ``run`` is called once
    for each connection and takes the messages itself (``for message in connection:``); when it returns, the
    connection closes with 1000.
    """

    connection_timeout: float | None = None
    """Seconds of silence until a connection is dropped (None: never); after half of them a ping is sent."""

    subprotocols: Sequence[str] = ()
    """The subprotocols it speaks; of these, the one that the client prefers is chosen (RFC 6455, 1.9)."""

    allowed_origins: Sequence[str] | str | None = None
    """The origins whose pages may connect: None for the same host and port, ``"*"`` for any, or a list such
    as ``["https://example.com"]``."""

    max_message_size: int = 1024 * 1024
    """The largest message received, in bytes; beyond it the connection fails with 1009."""

    max_message_rate: float | None = None
    """How many messages a client may send per second; None is no limit."""

    max_byte_rate: float | None = None
    """How many bytes a client may send per second, as they are on the wire, with frame heads and control
    frames, and compressed if messages are; None is no limit."""

    rate_burst: float = 1.0
    """How many seconds' worth of these two a client may send at once, after a pause: 0.1 or more."""

    rate_policy: RatePolicy = "slow"
    """What happens to a client that sends more: ``"slow"`` reads no faster, so that it must wait;
    ``"close"`` ends the connection with 1008, and discards the messages still waiting."""

    compression: bool | PerMessageDeflate = False
    """Whether messages are compressed (RFC 7692), and how; ``True`` is ``PerMessageDeflate()``."""

    def connecting(self, request: Request) -> None:
        """Return to let a connection in, or raise ``HandshakeError`` to refuse it with an HTTP response.

        Called before the handshake is answered. This is the place to check cookies and other credentials.
        """

    def connected(self, connection: WebSocketConnection) -> None:
        """A connection has been opened. Called before any ``received``."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Handle a message: a ``str`` was sent as text, ``bytes`` as binary.

        Unless overridden, calls ``received_text`` or ``received_binary``.
        """
        # The result is passed on: if it is a coroutine, the caller reports the mistake.
        if isinstance(message, str):
            return self.received_text(message, connection)
        return self.received_binary(message, connection)

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        """Handle a text message; unless overridden, close the connection with 1003."""
        _tell_unhandled(self, "text")
        connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Text messages are not accepted here")

    def received_binary(self, message: bytes, connection: WebSocketConnection) -> None:
        """Handle a binary message; unless overridden, close the connection with 1003."""
        _tell_unhandled(self, "binary")
        connection.close(WebSocketCloseReasonCode.INVALID_DATA_TYPE, "Binary messages are not accepted here")

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """A connection has ended. Called exactly once for each ``connected``."""

    def _good_bye(self, reason: WebSocketCloseReasonCode, description: str) -> tuple[int, str]:
        """Return the code and the text of the close frame with which the server asks a client to leave.

        ``reason`` and ``description`` are those of other services.
        """
        return reason, description

    def _log_failure(self, connection: WebSocketConnection, error: BaseException) -> None:
        """Log the exception that a callback has raised."""
        logger.error("%s failed; the connection is closed", type(self).__name__, exc_info=error)


def defines(service: WebSocketService, name: str) -> bool:
    """Return whether a service defines the callback ``name`` itself, rather than inheriting the default."""
    own = getattr(service, name)
    return getattr(own, "__func__", own) is not vars(WebSocketService).get(name)


def _tell_unhandled(service: WebSocketService, kind: str) -> None:
    if first_time(service, kind):
        logger.warning(
            "%s does not handle %s messages, and closes connections that send them with 1003:"
            " define received_%s(self, message, connection), or received",
            type(service).__name__,
            kind,
            kind,
        )


def pull_style_run(service: WebSocketService) -> Callable[[WebSocketConnection], object] | None:
    """Return the method ``run(connection)`` of a service that takes its messages itself, or ``None``.

    A ``run`` found only by ``__getattr__`` counts unless the service handles messages: some ``__getattr__``
    answer to every name.
    """
    run: Callable[[WebSocketConnection], object] | None = getattr(service, "run", None)
    if not callable(run):
        return None
    if (
        hasattr(type(service), "run")
        or "run" in vars(service)
        or not any(defines(service, name) for name in PUSH_STYLE)
    ):
        return run
    return None
