"""A WebSocket connection, as services know it.

The read watcher's callback is the connection's ``Channel``. It runs in the hub, and lets the connection
receive into the loop's shared buffer and put whole messages into the inbox (``conversation``), from where a
worker takes them to the service. The service's other callbacks are the business of ``lifecycle``; how the
connection ends, that of ``transitions``; silence, dead peers and stuck writers, that of ``keepalive``; and
whoever cannot send at once, that of ``senders``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from time import monotonic
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple, Protocol

from gevent import Timeout

from geventkws.escape import escape
from geventkws.loop.channel import Channel
from geventkws.loop.leaf import Buffer
from geventkws.net.address import spelled
from geventkws.protocol import closing
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.deflate import Deflate
from geventkws.protocol.endpoint import Endpoint
from geventkws.request import Request
from geventkws.websocket.arguments import check_timeout, close_code, ping_payload
from geventkws.websocket.closed import until_closed
from geventkws.websocket.conversation import Conversation
from geventkws.websocket.lifecycle import Lifecycle, is_busy
from geventkws.websocket.meter import Limited, meter_for
from geventkws.websocket.transitions import advance

NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class Traffic(NamedTuple):
    """What has gone over a connection: its age in seconds, its messages, and its bytes with frame heads."""

    duration: float
    messages_received: int
    bytes_received: int
    messages_sent: int
    bytes_sent: int


class Service(Limited, Protocol):
    """What a connection asks of its service, which is a ``WebSocketService``."""

    connection_timeout: float | None
    max_message_size: int

    def connected(self, connection: WebSocketConnection) -> object:
        """Handle a new connection."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> object:
        """Handle a message."""

    def disconnected(self, connection: WebSocketConnection, reason: Code) -> object:
        """Handle the end of a connection."""

    def _good_bye(self, reason: Code, description: str) -> tuple[int, str]:
        """Return the code and the text of the close frame with which the server asks the client to leave."""

    def _log_failure(self, connection: WebSocketConnection, error: BaseException) -> None:
        """Log what a callback has raised."""


class WebSocketConnection(Conversation):
    """One client of a service (Kitura: ``WebSocketConnection``).

    Services get their connections from the server; nothing else makes one. All methods may be called in any
    greenlet; ``send``, ``ping``, ``close`` and ``drop`` also in any native thread.
    """

    __slots__ = ("__weakref__", "_context", "_id", "path_params", "request", "subprotocol")

    _lifecycle: Lifecycle
    service: Service
    """The service that this connection belongs to."""

    def __init__(
        self,
        channel: Channel,
        *,
        lifecycle: Lifecycle,
        service: Service,
        request: Request,
        pulls: bool = False,
        path_params: Mapping[str, Any] = NO_PARAMETERS,
        subprotocol: str | None = None,
        deflate: Deflate | None = None,
        read_ahead: bytes = b"",
    ) -> None:
        """Become the owner of ``channel``.

        ``pulls`` says that the service takes the messages itself, in ``run``; ``read_ahead`` arrived after
        the request head.
        """
        endpoint = Endpoint(service.max_message_size, lifecycle.host.options.max_fragments, deflate)
        super().__init__(channel, endpoint, service, lifecycle)
        self._pulls = pulls
        self._meter = meter_for(service, self._started_at)
        self.request = request
        """The upgrade request: path, query, headers, cookies, remote address."""
        self.path_params = path_params
        """The values of the path's parameters, percent-decoded; or those passed to ``accept``."""
        self.subprotocol = subprotocol
        """The negotiated subprotocol, or None."""
        self._id: str | None = None
        self._context: SimpleNamespace | None = None
        if read_ahead:
            self._rest = Buffer(bytearray(read_ahead))
        channel.owner = self

    @property
    def id(self) -> str:
        """A string that no other connection has (Kitura: ``id``)."""
        if self._id is None:
            self._id = uuid.uuid4().hex
        return self._id

    @property
    def context(self) -> SimpleNamespace:
        """A namespace for the service's own data about this connection."""
        if self._context is None:
            self._context = SimpleNamespace()
        return self._context

    @property
    def close_description(self) -> str:
        """The text of the peer's close frame."""
        return "" if self._ending is None else self._ending.peers_text

    @property
    def traffic(self) -> Traffic:
        """What has gone over the connection so far."""
        endpoint = self._endpoint
        return Traffic(
            monotonic() - self._started_at,
            endpoint.messages_received,
            endpoint.bytes_received,
            endpoint.messages_sent,
            endpoint.bytes_sent,
        )

    def __repr__(self) -> str:
        state = closing.State(self._state).name
        return f"<WebSocketConnection {self.id} {escape(self.request.path)} {state}>"

    def ping(self, message: str | bytes | None = None) -> bool:
        """Send a ping (Kitura: ``ping(withMessage:)``), which the peer answers automatically.

        ``message`` is at most 125 bytes (of UTF-8). Returns what ``send`` does. Raises ``ValueError`` for a
        longer message, and ``TypeError`` for one of another type.
        """
        payload = ping_payload(message)
        if self._channel.loop.is_foreign_thread():
            return self._lifecycle.senders(self).call(len(payload), self._ping_now, payload)
        is_over_limit = self._endpoint.output_size >= self._lifecycle.max_send_buffer
        if is_over_limit and not self._lifecycle.senders(self).wait_for_room():
            return False
        return self._ping_now(payload)

    def _ping_now(self, payload: bytes) -> bool:
        if not self.active:
            return False
        self._endpoint.ping(payload)
        self._channel.cork()
        return True

    def close(self, reason: int | None = None, description: str | None = None) -> None:
        """Start the closing handshake (Kitura: ``close(reason:description:)``; RFC 6455, 7.1.2).

        ``reason`` is 1000 by default, and ``description`` at most 123 bytes of UTF-8. Returns at once. No
        ``received`` follows; ``disconnected`` gets ``reason`` when the peer has answered, or 1006 if it does
        not answer within ``close_timeout``. Does nothing if the connection is no longer open. Raises
        ``TypeError`` for a reason that is not a code, and ``ValueError`` for a code that may not be sent.
        """
        self._end(closing.CLOSE, reason, description)

    def drop(self, reason: int | None = None, description: str | None = None) -> None:
        """Send a close frame and end the connection without waiting for an answer (Kitura: ``drop``).

        The arguments and the errors are those of ``close``. ``disconnected`` gets ``reason``.
        """
        self._end(closing.DROP, reason, description)

    def _end(self, event: int, reason: int | None, description: str | None) -> None:
        code = close_code(reason, description)  # a mistake raises here, in the caller's thread
        if self._channel.loop.is_foreign_thread():
            self._channel.loop.call_from_thread(advance, self, event, code, description or "")
        else:
            advance(self, event, code, description or "")

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message: ``str`` for text, ``bytes`` for binary. Only in ``service.run``.

        Raises ``TimeoutError`` after ``timeout`` seconds, ``ConnectionClosed`` after the end, and
        ``RuntimeError`` in a service without ``run``, in another thread or while another greenlet receives.
        """
        if not self._pulls:
            raise RuntimeError("receive() is for services that define run(); others get received() calls")
        if self._channel.loop.is_foreign_thread():
            raise RuntimeError("receive() must be called in the thread of the server, not in another one")
        if self._has_messages():
            # Before a message is taken: a greenlet that is killed here, or runs out of time, loses none.
            self._channel.loop.take_turn()
        if not self._has_messages():
            check_timeout(timeout)
            if timeout is None:
                self._wait_for_message()
            else:
                with Timeout.start_new(timeout, TimeoutError(f"no message within {timeout} s")):
                    self._wait_for_message()
        return self._next_message()

    def _wait_for_message(self) -> None:
        while not self._has_messages():
            self._lifecycle.wait_for_message(self)

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield the messages as ``receive`` returns them, until the connection ends."""
        return until_closed(self.receive)

    # What the channel asks, besides what ``Conversation`` does (in the hub)

    def _crashed(self, error: BaseException) -> None:
        self._lifecycle.crashed(self, error)

    def _check(self, now: float) -> None:
        self._lifecycle.check(self, now)

    def _hurry(self) -> None:
        self._leave(Code.GOING_AWAY)

    def _leave(self, reason: Code, description: str = "") -> None:
        """Close for the server, after the answers to what has arrived. In any greenlet of its thread."""
        code, text = self.service._good_bye(reason, description)
        self._lifecycle.leave(self, Code(code), text)

    def _abandon(self) -> None:
        self._lifecycle.abandon(self)

    def _forsake(self) -> None:
        self._lifecycle.forsake(self)

    def _is_busy(self) -> bool:
        return is_busy(self)

    def _describe(self) -> str:
        calls = self._working and self._receiver is None
        doing = "a callback has not returned" if calls else "the client has not closed"
        return f"{type(self.service).__name__} of {spelled(self.request.remote_address)} ({doing})"
