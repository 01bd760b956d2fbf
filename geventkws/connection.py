"""A WebSocket connection, as services know it.

The way of a byte::

    readable -> transport.recv_into -> FrameParser.feed -> inbox -> service.received
             -> send -> encode_frame -> transport.send

The read watcher's callback is the connection itself (``hotpath``). It runs in the hub, receives
into the loop's shared buffer and puts whole messages into the inbox. A worker on loan from the frame
loop empties the inbox, calling the service (``work``). What is not a message is for ``lifecycle``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

from gevent import Timeout, getcurrent
from gevent.event import Event as Signal
from gevent.hub import Waiter

from geventkws.lifecycle import ConnectionClosed, Host, Lifecycle, State, Told
from geventkws.protocol import opcodes
from geventkws.protocol.close import close_payload
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.deflate import Deflate
from geventkws.protocol.endpoint import Broadcast
from geventkws.request import Request
from geventkws.service import WebSocketService, pull_style_run
from geventkws.threadgate import ThreadGate
from geventkws.transport import Transport

logger = logging.getLogger("geventkws.server")

NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


class Traffic(NamedTuple):
    """What has gone over a connection: its age in seconds, messages, and bytes including frame heads."""

    duration: float
    messages_received: int
    bytes_received: int
    messages_sent: int
    bytes_sent: int


class WebSocketConnection(Lifecycle):
    """One client of a service (Kitura: ``WebSocketConnection``).

    Services are given their connections; nobody else makes one. All methods may be called from
    any greenlet; ``send``, ``ping``, ``close`` and ``drop`` also from any native thread.
    """

    __slots__ = ("__weakref__", "_context", "_id", "path_params", "request", "subprotocol")

    def __init__(
        self,
        transport: Transport,
        *,
        host: Host,
        service: WebSocketService,
        request: Request,
        path_params: Mapping[str, str] = NO_PARAMETERS,
        subprotocol: str | None = None,
        deflate: Deflate | None = None,
    ) -> None:
        super().__init__(transport, host, service, deflate)
        self.request = request
        """The upgrade request: path, query, headers, cookies, remote address."""
        self.path_params = path_params
        """The values of the registered path's parameters, percent-decoded."""
        self.subprotocol = subprotocol
        """The negotiated subprotocol, or None."""
        self._id: str | None = None
        self._context: SimpleNamespace | None = None

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
    def traffic(self) -> Traffic:
        """What has gone over the connection so far."""
        endpoint = self._endpoint
        return Traffic(
            monotonic() - self.started_at,
            endpoint.messages_received,
            endpoint.bytes_received,
            endpoint.messages_sent,
            endpoint.bytes_sent,
        )

    def __repr__(self) -> str:
        return f"<WebSocketConnection {self.id} {self.request.path} {self._state.name}>"

    def ping(self, message: str | bytes | None = None) -> bool:
        """Send a ping (Kitura: ``ping(withMessage:)``); the peer answers by itself.

        ``message`` is at most 125 bytes (of UTF-8), else ``ValueError``. Returns as ``send`` does.
        """
        payload = message.encode() if isinstance(message, str) else bytes(message or b"")
        if len(payload) > opcodes.MAX_CONTROL_PAYLOAD:
            raise ValueError(f"a ping's message must be at most 125 bytes, not {len(payload)}")
        if self._loop.is_foreign_thread():
            return self._call_from_thread(len(payload), self._ping_now, payload)
        if self._is_over_limit() and not self._wait_for_room():
            return False
        return self._ping_now(payload)

    def _ping_now(self, payload: bytes) -> bool:
        if not self.active:
            return False
        self._endpoint.ping(payload)
        self.cork()
        return True

    def close(self, reason: int | None = None, description: str | None = None) -> None:
        """Start the closing handshake (Kitura: ``close(reason:description:)``; RFC 6455, 7.1.2).

        ``reason`` is 1000 by default and ``description`` at most 123 bytes of UTF-8; a code that may
        not be sent is a ``ValueError``. Returns at once. No ``received`` follows; ``disconnected``
        gets ``reason`` when the peer has answered, or 1006 if it does not within ``close_timeout``.
        Does nothing if the connection is no longer open.
        """
        self._end(self.start_closing, reason, description)

    def drop(self, reason: int | None = None, description: str | None = None) -> None:
        """Send a close frame and end the connection without waiting for an answer (Kitura: ``drop``).

        Arguments and errors as of ``close``. ``disconnected`` gets ``reason``.
        """
        self._end(self._drop, reason, description)

    def _drop(self, code: Code, description: str) -> None:
        if self._state in (State.OPEN, State.CLOSING):
            self.discard_inbox()
            self._final = None
            self.finish(code, description)

    def _end(self, end: Callable[[Code, str], None], reason: int | None, description: str | None) -> None:
        code = Code.NORMAL if reason is None else Code(reason)
        close_payload(code, description or "")  # a mistake raises here, in whatever thread
        if self._loop.is_foreign_thread():
            self._loop.call_from_thread(end, code, description or "")
        else:
            end(code, description or "")

    def receive(self, timeout: float | None = None) -> str | bytes:
        """Return the next message: ``str`` for text, ``bytes`` for binary. Only in ``service.run``.

        Raises ``TimeoutError`` after ``timeout`` seconds, ``ConnectionClosed`` after the end, and
        ``RuntimeError`` in a service without ``run``, in another thread or while another greenlet receives.
        """
        if pull_style_run(self.service) is None:
            raise RuntimeError("receive() is for services that define run(); others get received() calls")
        if self._loop.is_foreign_thread():
            raise RuntimeError("receive() must be called in the thread of the server, not in another one")
        if not self.has_messages():
            with Timeout.start_new(timeout, TimeoutError(f"no message within {timeout} s")):
                while not self.has_messages():
                    self._wait_for_message()
        return self.next_message()

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield the messages as ``receive`` returns them, until the connection ends."""
        while True:
            try:
                yield self.receive()
            except ConnectionClosed:
                return

    # What the service is told

    def face(self) -> WebSocketConnection:
        return self

    def step(self) -> None:
        if self._told is Told.NOTHING:
            self._tell_connected()
        elif self._final is not None:
            self.conclude()
        elif self._outcome is not None and self._told is Told.CONNECTED:
            self._told = Told.DISCONNECTED
            try:
                self.service.disconnected(self, self._outcome)
            finally:
                self._told = Told.EVERYTHING
                self._loop.guard(self.check_whether_over)
        self._has_news = self._final is not None or (
            self._outcome is not None and self._told is Told.CONNECTED
        )

    def _tell_connected(self) -> None:
        self._told = Told.CONNECTED
        self._greeted = True
        self.service.connected(self)
        run = pull_style_run(self.service)
        if run is not None:
            with suppress(ConnectionClosed):
                run(self)
            self.discard_inbox()
            self.close()

    def failed(self, error: BaseException) -> None:
        """End the connection for an exception in a callback, which is the service's mistake: 1011."""
        self.discard_inbox()
        if self._state is State.OPEN:
            self._final = None
            self.finish(Code.SERVER_ERROR)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._loop.report(error)
        # Last, and guarded: a handler may block, and a kill or a timeout may find the worker there.
        text = "%s failed; the connection is closed"
        self._loop.guard(partial(logger.error, text, type(self.service).__name__, exc_info=error))

    # Waiting

    def send_later(self, opcode: int, payload: bytes, compress: bool | None) -> bool:
        if self._loop.is_foreign_thread():
            return self._call_from_thread(len(payload), self.send_now, opcode, payload, compress)
        return self._wait_for_room() and self.send_now(opcode, payload, compress)

    def send_broadcast_later(self, message: Broadcast) -> bool:
        if self._loop.is_foreign_thread():
            return self.active and self._loop.call_from_thread(self.send_broadcast, message)
        return self._has_room_now() and self.send_broadcast(message)

    def _is_over_limit(self) -> bool:
        return self._endpoint.output_size >= self._max_send_buffer

    def _has_room_now(self) -> bool:
        """Tell whether a frame may be sent at once; over the limit, end the connection with 1013."""
        if self._is_over_limit():
            self.flush()
            if self._is_over_limit():
                self.drop(Code.TRY_AGAIN_LATER, "The peer reads too slowly")
        return self.active

    def _wait_for_room(self) -> bool:
        if getcurrent() is self._loop.hub:
            return self._has_room_now()
        self.flush()
        while self.active and self._is_over_limit():
            if self._room is None:
                self._room = Signal()
                self._watches_output = True
            self._room.wait()
        return self.active

    def _wait_for_message(self) -> None:
        """Wait until there is something new: a message, or the end, which is raised."""
        if self._final is not None:
            self.conclude()
        if self._state is not State.OPEN or self._told is Told.DISCONNECTED:
            reason = self._close_code if self._outcome is None else self._outcome
            raise ConnectionClosed(reason, self.close_description)
        if self._receiver is not None:
            raise RuntimeError("another greenlet is waiting in receive() for this connection")
        receiver: Waiter[None] = Waiter(self._loop.hub)
        self._receiver = receiver
        try:
            receiver.get()
        finally:
            if self._receiver is receiver:
                self._receiver = None

    def _call_from_thread(self, size: int, function: Callable[..., bool], *args: Any) -> bool:
        """Queue a call for the hub; a thread whose connection is over the limit waits here."""
        with self._loop.lock:
            gate = self._gate
            if gate is None:
                gate = self._gate = ThreadGate()
                self._watches_output = True
        endpoint, limit = self._endpoint, self._max_send_buffer
        if not gate.enter(size, lambda: self.active, lambda: limit - endpoint.output_size):
            return False

        def call() -> None:
            gate.leave(size)
            function(*args)

        return self._loop.call_from_thread(call)
