"""A WebSocket connection, as services know it, and its life.

The way of a byte::

    readable -> transport.recv_into -> FrameParser.feed -> inbox -> service.received
             -> send -> encode_frame -> transport.send

The read watcher's callback is the connection's ``Channel``. It runs in the hub and lets the connection
receive into the loop's shared buffer and put whole messages into the inbox (``conversation``). A worker on
loan from the frame loop empties the inbox, calling the service: ``connected``; then ``received`` (or one
``run``) until the inbox is empty; then the peer's last event is answered; then ``disconnected``.

How it ends is decided by the table in ``protocol.closing``; here it is carried out. What ``disconnected`` is
told is known before the last bytes have left. A connection is over when the service has been told and the
descriptor is gone. Silence, dead peers and stuck writers are the business of ``keepalive``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import IntEnum
from functools import partial
from time import monotonic
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple, Protocol

from gevent import Timeout, getcurrent
from gevent.event import Event as Signal
from gevent.hub import Waiter

from geventkws.escape import escape
from geventkws.loop.channel import Channel
from geventkws.loop.leaf import Buffer
from geventkws.loop.loop import Loop
from geventkws.net.address import spelled
from geventkws.net.tls_records import MAX_CIPHERTEXT
from geventkws.options import ServerOptions
from geventkws.protocol import closing
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.deflate import Deflate
from geventkws.protocol.endpoint import Broadcast, Endpoint
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.messages import Event, Ping
from geventkws.request import Request
from geventkws.service import WebSocketService, pull_style_run
from geventkws.service_check import check_result
from geventkws.websocket import keepalive
from geventkws.websocket.arguments import check_timeout, close_code, ping_payload
from geventkws.websocket.conversation import Conversation
from geventkws.websocket.thread_gate import ThreadGate

LAST_LOOK = 4 * MAX_CIPHERTEXT
"""Bytes to look for unread input with: room for a whole TLS record behind a part of another."""

PEER_EVENTS = (closing.PEER_CLOSE, closing.PEER_ERROR, closing.PEER_END)
"""The events behind which the hub goes to work for the connection in any case."""

NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})


class ConnectionClosed(Exception):
    """``receive`` has nothing more to return: the connection has ended.

    ``reason`` is the ``WebSocketCloseReasonCode`` and ``description`` the peer's text.
    """

    def __init__(self, reason: Code, description: str = "") -> None:
        super().__init__(f"the connection has ended: {int(reason)} ({reason.name})")
        self.reason = reason
        self.description = description


class Traffic(NamedTuple):
    """What has gone over a connection: its age in seconds, messages, and bytes including frame heads."""

    duration: float
    messages_received: int
    bytes_received: int
    messages_sent: int
    bytes_sent: int


class Told(IntEnum):
    """What the service has been told."""

    NOTHING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    EVERYTHING = 3


class Host(Protocol):
    """What a connection needs of the server it belongs to."""

    options: ServerOptions

    def websocket_closed(self, connection: WebSocketConnection, reason: Code) -> None:
        """Forget a connection that is over."""


class WebSocketConnection(Conversation):
    """One client of a service (Kitura: ``WebSocketConnection``).

    Services are given their connections; nobody else makes one. All methods may be called from
    any greenlet; ``send``, ``ping``, ``close`` and ``drop`` also from any native thread.
    """

    __slots__ = (
        "__weakref__",
        "_close_code",
        "_context",
        "_deadline",
        "_final",
        "_gate",
        "_host",
        "_id",
        "_outcome",
        "_pulls",
        "_room",
        "_scheduled",
        "_state",
        "_told",
        "close_description",
        "path_params",
        "request",
        "subprotocol",
    )

    _channel: Channel
    service: WebSocketService
    """The service that this connection belongs to."""

    def __init__(
        self,
        channel: Channel,
        *,
        host: Host,
        service: WebSocketService,
        request: Request,
        path_params: Mapping[str, Any] = NO_PARAMETERS,
        subprotocol: str | None = None,
        deflate: Deflate | None = None,
        read_ahead: bytes = b"",
    ) -> None:
        """Become the owner of ``channel``; ``read_ahead`` arrived behind the request head."""
        endpoint = Endpoint(service.max_message_size, host.options.max_fragments, deflate)
        super().__init__(channel, endpoint, service, host.options)
        self.request = request
        """The upgrade request: path, query, headers, cookies, remote address."""
        self.path_params = path_params
        """The values of the path's parameters, percent-decoded; or what ``accept`` was given."""
        self.subprotocol = subprotocol
        """The negotiated subprotocol, or None."""
        self.close_description = ""
        """The text of the peer's close frame."""
        self._id: str | None = None
        self._context: SimpleNamespace | None = None
        self._host = host
        self._state = closing.OPEN
        self._told = Told.NOTHING
        self._final: Close | ProtocolError | None = None
        self._close_code = Code.NORMAL
        self._outcome: Code | None = None
        self._pulls = pull_style_run(service) is not None
        self._deadline: float | None = None
        self._scheduled = False
        self._room: Signal | None = None
        self._gate: ThreadGate | None = None
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
        """Send a ping (Kitura: ``ping(withMessage:)``); the peer answers by itself.

        ``message`` is at most 125 bytes (of UTF-8), else ``ValueError``; another type is a ``TypeError``.
        Returns as ``send`` does.
        """
        payload = ping_payload(message)
        if self._channel.loop.is_foreign_thread():
            return self._call_from_thread(len(payload), self._ping_now, payload)
        if self._is_over_limit() and not self._wait_for_room():
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

        ``reason`` is 1000 by default and ``description`` at most 123 bytes of UTF-8; what is no code is a
        ``TypeError``, and one that may not be sent a ``ValueError``. Returns at once. No ``received``
        follows; ``disconnected`` gets ``reason`` when the peer has answered, or 1006 if it does not within
        ``close_timeout``. Does nothing if the connection is no longer open.
        """
        self._end(closing.CLOSE, reason, description)

    def drop(self, reason: int | None = None, description: str | None = None) -> None:
        """Send a close frame and end the connection without waiting for an answer (Kitura: ``drop``).

        Arguments and errors as of ``close``. ``disconnected`` gets ``reason``.
        """
        self._end(closing.DROP, reason, description)

    def _end(self, event: int, reason: int | None, description: str | None) -> None:
        code = close_code(reason, description)  # a mistake raises here, in whatever thread
        if self._channel.loop.is_foreign_thread():
            self._loop.call_from_thread(self._advance, event, code, description or "")
        else:
            self._advance(event, code, description or "")

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
            # Before a message is taken: who is killed here, or runs out of time, shall lose none.
            self._channel.loop.take_turn()
        if not self._has_messages():
            check_timeout(timeout)
            with Timeout.start_new(timeout, TimeoutError(f"no message within {timeout} s")):
                while not self._has_messages():
                    self._wait_for_message()
        return self._next_message()

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield the messages as ``receive`` returns them, until the connection ends."""
        while True:
            try:
                yield self.receive()
            except ConnectionClosed:
                return

    @property
    def _loop(self) -> Loop:
        return self._channel.loop

    # What the peer sent (in the hub)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ping):
            self._answer_ping(event.payload)
        elif isinstance(event, (Close, ProtocolError)):
            if isinstance(event, Close):
                self._take_last(event, closing.PEER_CLOSE)
            else:
                self._take_last(event, closing.PEER_ERROR)

    def _take_last(self, last: Close | ProtocolError, event: int) -> None:
        """Keep the peer's last event until the messages before are handled; it may answer our own close."""
        if self._final is None:
            self._final = last
            if self._state == closing.CLOSING and isinstance(last, Close):
                self.close_description = last.reason
            self._advance(event)

    def _end_of_stream(self) -> None:
        self._advance(closing.PEER_END)
        self._go_to_work()

    def _lost(self) -> None:
        self._advance(closing.LOST)

    def _crashed(self, error: BaseException) -> None:
        if isinstance(error, OSError) and self._rest is not None and self.active:
            # The peer takes nothing more, but what it sent is for the service. Reading finds the end.
            self._endpoint.sent(self._endpoint.output_size)
            self._channel.has_room()
            return
        self._loop.guard(self._lost)
        self._loop.explain(error)
        # Not at once: this may be one of many connections that fail in a row, in a flush that is under way.
        self._loop.guard(self._loop.flush_soon)

    def _check(self, now: float) -> None:
        keepalive.check(self, now)

    def _hurry(self) -> None:
        self.close(Code.GOING_AWAY)

    def _abandon(self) -> None:
        self._lost()

    def _forsake(self) -> None:
        self._state = closing.CLOSED
        self.active = False
        self._told = Told.EVERYTHING
        self._rest = None
        self._gate = None  # a thread of the parent's may have its lock
        self._channel.release()
        self._discard_inbox()
        self._has_news = False

    def _is_busy(self) -> bool:
        return self._told != Told.EVERYTHING

    def _describe(self) -> str:
        calls = self._working and self._receiver is None
        doing = "a callback has not returned" if calls else "the client has not closed"
        return f"{type(self.service).__name__} of {spelled(self.request.remote_address)} ({doing})"

    # How it ends (in any greenlet of the hub's thread)

    def _advance(self, event: int, code: Code | None = None, description: str = "") -> None:
        """Do what the table of the closing handshake says about ``event``; ``code`` is our own, if any."""
        before = self._state
        state, outcome, actions = closing.TRANSITIONS[before][event]
        if state == before and not actions:
            return
        self._state = state
        self.active = state in closing.ACTIVE
        if code is not None:
            self._close_code = code
        if outcome and self._outcome is None:
            self._outcome = self._code_of(outcome)
        self._has_news = self._is_news_due()
        if actions & closing.DISARM:
            self._deadline = None
        elif actions & closing.ARM:
            self._deadline = monotonic() + self._host.options.close_timeout
        if actions & closing.PAUSE:
            self._channel.pause()
        if actions & closing.DISCARD:
            self._discard_inbox()
        if actions & closing.SEND_CLOSE:
            self._send_close(outcome, description)
        self._carry_out(state, actions)
        self._make_room()
        if event not in PEER_EVENTS:
            self._schedule()

    def _code_of(self, outcome: int) -> Code:
        """Return what ``disconnected`` is told."""
        if outcome == closing.OURS:
            return self._close_code
        if outcome == closing.ABNORMAL or self._final is None:
            return Code.CLOSED_ABNORMALLY
        if isinstance(self._final, Close):
            self.close_description = self._final.reason
        return self._final.code

    def _send_close(self, outcome: int, description: str) -> None:
        if outcome == closing.RULE and isinstance(self._final, ProtocolError):
            self._endpoint.close(self._final.code, self._final.message)
        elif outcome == closing.PEERS and self._final is not None:
            self._endpoint.close(self._final.code)
        else:
            self._endpoint.close(self._close_code, description)
        self._channel.cork()

    def _carry_out(self, state: int, actions: int) -> None:
        """Do to the socket what the table says."""
        if actions & closing.RESUME:
            self._resume_reading()
        if state in (closing.FINISHING, closing.ANSWERING):
            self._watches_output = True
            self._channel.cork()
        if actions & closing.SHUT_DOWN:
            try:
                self._channel.transport.shutdown_write()
            except OSError:
                self._advance(closing.LOST)
        if actions & closing.RELEASE:
            self._rest = None
            self._channel.release()
            self._check_whether_over()

    def _is_news_due(self) -> bool:
        """Return whether a worker has something to do besides ``received``."""
        if self._told == Told.NOTHING or self._state in closing.HELD:
            return True
        return self._outcome is not None and self._told == Told.CONNECTED

    def _schedule(self) -> None:
        """Let a worker, or whoever waits in ``receive``, do what there is to do. In any greenlet."""
        if not self._scheduled and (self._receiver is not None or (self._has_news and not self._working)):
            self._scheduled = True
            self._loop.hub.loop.run_callback(self._run_when_scheduled)

    def _run_when_scheduled(self) -> None:
        self._scheduled = False
        self._loop.guard(self._go_to_work)
        self._loop.flush()

    def _make_room(self) -> None:
        """Let those go on who wait in ``send``."""
        if self._room is not None:
            self._room.set()
            self._room = None
        if self._gate is not None:
            self._gate.open()

    def _inbox_has_room(self) -> None:
        if self._state == closing.OPEN:
            self._resume_reading()

    def _output_left(self) -> None:
        size = self._endpoint.output_size
        if size < self._max_send_buffer:
            self._make_room()
        if not size and not self._channel.is_pending():
            if self._state == closing.FINISHING:
                self._advance(closing.SENT)
            elif self._state == closing.ANSWERING:
                self._advance(closing.SENT if self._input_is_read() else closing.SENT_UNREAD)

    def _input_is_read(self) -> bool:
        """Return whether the peer has sent nothing that was not read; what there is, is discarded.

        A socket that is closed with input unread is reset, which can destroy our close frame on its way.
        """
        self._rest = None
        try:
            # Not into the loop's buffer: this may be a callback of another connection, whose input is there.
            transport = self._channel.transport
            return not transport.recv_into(memoryview(bytearray(LAST_LOOK if transport.secure else 1)))
        except OSError:
            return True

    def _check_whether_over(self) -> None:
        """Take leave of the host when the service has been told and the descriptor is gone."""
        if self._told == Told.EVERYTHING and self._state == closing.CLOSED:
            assert self._outcome is not None
            self._host.websocket_closed(self, self._outcome)

    # What the service is told (in a worker)

    def _step(self) -> None:
        if self._told == Told.NOTHING:
            self._tell_connected()
        elif self._state in closing.HELD:
            self._advance(closing.HANDLED)
        elif self._outcome is not None and self._told == Told.CONNECTED:
            self._told = Told.DISCONNECTED
            try:
                self._call("disconnected", self._outcome)
            finally:
                self._told = Told.EVERYTHING
                self._loop.guard(self._check_whether_over)
        self._has_news = self._is_news_due()

    def _tell_connected(self) -> None:
        self._told = Told.CONNECTED
        self._greeted = True
        self._call("connected")
        if self._pulls:
            with suppress(ConnectionClosed):
                self._call("run")
            self._discard_inbox()
            self.close()

    def _call(self, name: str, *args: object) -> None:
        self._check_result(name, getattr(self.service, name)(self, *args))

    def _check_result(self, name: str, result: object) -> None:
        check_result(self.service, name, result)

    def _failed(self, error: BaseException) -> None:
        """End the connection for an exception in a callback, which is the service's mistake: 1011."""
        self._discard_inbox()
        self._advance(closing.FAILED, Code.SERVER_ERROR)
        self._has_news = self._is_news_due()
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._loop.report(error)
        # Last, and guarded: a handler may block, and a kill or a timeout may find the worker there.
        self._loop.guard(self.service._log_failure, self, error)

    # Waiting

    def _send_later(self, opcode: int, payload: bytes, compress: bool | None) -> bool:
        if self._channel.loop.is_foreign_thread():
            return self._call_from_thread(len(payload), self._send_now, opcode, payload, compress)
        return self._wait_for_room() and self._send_now(opcode, payload, compress)

    def _send_broadcast_later(self, message: Broadcast) -> bool:
        if self._channel.loop.is_foreign_thread():
            return self._broadcast_from_thread(message)
        return self._has_room_now() and self._send_broadcast(message)

    def _is_over_limit(self) -> bool:
        return self._endpoint.output_size >= self._max_send_buffer

    def _has_room_now(self) -> bool:
        """Return whether a frame may be sent at once; over the limit, end the connection with 1013."""
        if self._is_over_limit():
            self._channel.flush()
            if self._is_over_limit():
                self.drop(Code.TRY_AGAIN_LATER, "The peer reads too slowly")
        return self.active

    def _wait_for_room(self) -> bool:
        if getcurrent() is self._channel.loop.hub:
            return self._has_room_now()
        self._channel.flush()
        while self.active and self._is_over_limit():
            if self._room is None:
                self._room = Signal()
                self._watches_output = True
            self._room.wait()
        return self.active

    def _wait_for_message(self) -> None:
        """Wait until there is something new: a message, or the end, which is raised."""
        if self._state in closing.HELD:
            self._advance(closing.HANDLED)
        if self._state != closing.OPEN or self._told == Told.DISCONNECTED:
            reason = self._close_code if self._outcome is None else self._outcome
            raise ConnectionClosed(reason, self.close_description)
        if self._receiver is not None:
            raise RuntimeError("another greenlet is waiting in receive() for this connection")
        receiver: Waiter[None] = Waiter(self._channel.loop.hub)
        self._receiver = receiver
        try:
            receiver.get()
        finally:
            if self._receiver is receiver:
                self._receiver = None

    def _call_from_thread(self, size: int, function: Callable[..., bool], *args: Any) -> bool:
        """Queue a call for the hub; a thread whose connection is over the limit waits here."""
        gate = self._thread_gate()
        if not gate.enter(size, self._is_active, self._room_left):
            return False
        return self._loop.call_from_thread(self._carried_over, gate, size, partial(function, *args))

    def _broadcast_from_thread(self, message: Broadcast) -> bool:
        """Queue a message for the hub; a connection that is over the limit is ended with 1013."""
        gate = self._thread_gate()
        entered = gate.enter_or_shut(message.size, self._is_active, self._room_left)
        if entered is None:
            # Behind what was queued for it, all of which still goes out.
            self._loop.call_from_thread(self.drop, Code.TRY_AGAIN_LATER, "Broadcasts come too fast")
        if not entered:
            return False
        return self._loop.call_from_thread(
            self._carried_over, gate, message.size, partial(self._send_broadcast, message)
        )

    def _thread_gate(self) -> ThreadGate:
        with self._loop.lock:
            if self._gate is None:
                self._gate = ThreadGate()
                self._watches_output = True
            return self._gate

    def _is_active(self) -> bool:
        return self.active

    def _room_left(self) -> int:
        return self._max_send_buffer - self._endpoint.output_size

    @staticmethod
    def _carried_over(gate: ThreadGate, size: int, call: Callable[[], object]) -> None:
        """Make a thread's call. In the hub."""
        gate.leave(size)
        call()
