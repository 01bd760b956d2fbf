"""The life of a WebSocket connection: when its service is called, and how it ends.

A worker on loan from the loop calls the service: ``connected``; then ``received`` until the inbox is empty
(or ``run``, once); then the peer's last event is answered; then ``disconnected``.

The table in ``protocol.closing`` decides how a connection ends; here the decisions are carried out. The code
for ``disconnected`` is known before the last bytes have left. A connection is over when ``disconnected`` has
returned and the descriptor is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from time import monotonic
from typing import Generic, Protocol, TypeVar

from gevent.hub import Waiter

from geventkws.lazy import check_result
from geventkws.loop import leaf
from geventkws.net.tls_records import MAX_CIPHERTEXT
from geventkws.options import ServerOptions
from geventkws.protocol import closing
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.endpoint import Broadcast
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.messages import Event, Ping
from geventkws.websocket import keepalive
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.conversation import Conversation
from geventkws.websocket.meter import Meter
from geventkws.websocket.senders import Senders

LAST_LOOK = 4 * MAX_CIPHERTEXT
"""Bytes to read when looking for unread input: room for a whole TLS record after a part of another."""

PEER_EVENTS = (closing.PEER_CLOSE, closing.PEER_ERROR, closing.PEER_END)
"""The events after which the hub goes to work for the connection in any case."""


class Told(IntEnum):
    """What the service has been called with."""

    NOTHING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    EVERYTHING = 3


AnyConversation = TypeVar("AnyConversation", bound=Conversation)
HostedConversation = TypeVar("HostedConversation", bound=Conversation, contravariant=True)


class Host(Protocol[HostedConversation]):
    """What a connection needs from the server it belongs to."""

    options: ServerOptions

    def websocket_closed(self, connection: HostedConversation, reason: Code) -> None:
        """Forget a connection that is over."""


class Lifecycle(Generic[AnyConversation]):
    """The life of one connection."""

    __slots__ = (
        "_close_code",
        "_close_text",
        "_connection",
        "_deadline",
        "_farewells",
        "_final",
        "_host",
        "_scheduled",
        "_senders",
        "close_description",
        "outcome",
        "pulls",
        "state",
        "told",
    )

    def __init__(self, connection: AnyConversation, host: Host[AnyConversation], pulls: bool) -> None:
        self.state = closing.OPEN
        """Where the connection stands: a ``closing.State``."""
        self.outcome: Code | None = None
        """The code for ``disconnected``, once that is known."""
        self.pulls = pulls
        """Whether the service takes the messages itself, in ``run``."""
        self.close_description = ""
        """The text of the peer's close frame."""
        self._connection = connection
        self._host = host
        self.told = Told.NOTHING
        """What the service has been called with."""
        self._final: Close | ProtocolError | None = None
        self._close_code = Code.NORMAL
        self._close_text = ""
        self._deadline: float | None = None
        self._scheduled = False
        self._senders: Senders | None = None
        self._farewells: list[Callable[[], object]] | None = None

    # What the peer has sent (in the hub)

    def handle(self, event: Event) -> None:
        if isinstance(event, Ping):
            self._connection._answer_ping(event.payload)
        elif isinstance(event, Close):
            self._take_last(event, closing.PEER_CLOSE)
        elif isinstance(event, ProtocolError):
            self._take_last(event, closing.PEER_ERROR)

    def _take_last(self, last: Close | ProtocolError, event: int) -> None:
        """Keep the peer's last event until earlier messages are handled; it may answer our own close."""
        if self._final is None:
            self._final = last
            if self.state == closing.CLOSING and isinstance(last, Close):
                self.close_description = last.reason
            self.advance(event)

    def measure(self, meter: Meter) -> None:
        fault = meter.measure(self._connection._endpoint, monotonic())
        if fault is not None and self.state == closing.OPEN:
            self._drop(Code.POLICY_VIOLATION, fault)

    def end_of_stream(self) -> None:
        self.advance(closing.PEER_END)
        self._connection._go_to_work()

    def lost(self) -> None:
        self.advance(closing.LOST)

    def abandon(self) -> None:
        """Give up the connection; in ``LEAVING``, the peer still gets the close frame that was held back."""
        self.advance(closing.DROP if self.state == closing.LEAVING else closing.LOST)

    def crashed(self, error: BaseException) -> None:
        """End the connection because of an error on the socket or in our own code. Never raises."""
        connection, loop = self._connection, self._connection._channel.loop
        if isinstance(error, OSError) and connection._rest is not None and connection.active:
            # The peer reads no more, but the service is to get what it has sent. Reading finds the end.
            connection._endpoint.sent(connection._endpoint.output_size)
            connection._channel.has_room()
            return
        loop.guard(self.lost)
        loop.explain(error)
        # Not at once: this may be one of many connections that fail in a row, during a flush.
        loop.guard(loop.flush_soon)

    # Time limits, and the end of the server (in the hub)

    def check(self, now: float) -> None:
        """Enforce the time limits; ``now`` is the time by ``time.monotonic``."""
        connection = self._connection
        if connection._meter is not None:
            self._refill(connection._meter, now)
        if self._deadline is not None and now >= self._deadline + keepalive.patience(connection):
            self._end_waiting()
        else:
            send_timeout = self._host.options.send_timeout
            keepalive.check(connection, now, send_timeout, pings=self.state == closing.OPEN)

    def _refill(self, meter: Meter, now: float) -> None:
        """Read on where that was to wait until now."""
        meter.fill(now)
        if self._connection._channel.paused_at is not None and not self._connection._has_enough():
            self.read_on()

    def _end_waiting(self) -> None:
        """End a closing handshake that takes too long, unless what was sent is still on its way."""
        connection, state = self._connection, self.state
        if state in closing.HELD:
            # The service is still busy with earlier messages; the peer need not wait any longer.
            self._deadline = None
            self.advance(closing.TIME)
            return
        connection._channel.flush()
        keepalive.catch_up(connection)
        if self.state != state:
            return
        end_of_patience = connection._stuck_since + self._host.options.close_timeout
        sending = state in (closing.CLOSING, closing.FINISHING, closing.ANSWERING)
        if sending and connection._channel.awaits_room and end_of_patience > monotonic():
            self._deadline = end_of_patience
        else:
            self.advance(closing.TIME)

    def forsake(self) -> None:
        """Forget the connection: in a child process, it belongs to the parent."""
        connection = self._connection
        self.state = closing.CLOSED
        connection.active = False
        self.told = Told.EVERYTHING
        self._senders = None  # a thread of the parent may hold the lock of its gate
        self._farewells = None
        connection._rest = None
        connection._channel.release()
        connection._discard_inbox()
        connection._has_news = False

    def is_busy(self) -> bool:
        """Return whether callbacks of the service have yet to return."""
        return self.told != Told.EVERYTHING

    # How it ends (in any greenlet of the hub's thread)

    def leave(self, code: Code, description: str = "") -> None:
        """Close for the server, as soon as the service has handled everything that has arrived."""
        self.advance(closing.LEAVE if self._is_handling() else closing.CLOSE, code, description)

    def _is_handling(self) -> bool:
        connection = self._connection
        if connection._has_messages() or connection._rest is not None:
            return True
        # A service that has received nothing answers nothing, and may only check ``active`` now and then.
        is_at_work = connection._working and connection._receiver is None
        return is_at_work and connection._endpoint.messages_received > 0

    def advance(self, event: int, code: Code | None = None, description: str = "") -> None:
        """Do what the table of the closing handshake says about ``event``; ``code`` is our own, if any."""
        connection, before = self._connection, self.state
        state, outcome, actions = closing.TRANSITIONS[before][event]
        if state == before and not actions:
            return
        self.state = state
        connection.active = state in closing.ACTIVE
        if code is not None:
            self._close_code, self._close_text = code, description
        if outcome and self.outcome is None:
            self.outcome = self._code_of(outcome)
        connection._has_news = self._is_news_due()
        if actions & closing.DISARM:
            self._deadline = None
        elif actions & closing.ARM:
            self._deadline = monotonic() + self._host.options.close_timeout
        if actions & closing.PAUSE:
            connection._channel.pause()
        if actions & closing.DISCARD:
            connection._discard_inbox()
        if actions & closing.SEND_CLOSE:
            self._send_close(outcome)
        self._carry_out(state, actions)
        self._make_room()
        if event not in PEER_EVENTS:
            self._schedule()
        if self._farewells is not None and not connection.active:
            self._bid_farewell()

    def call_when_inactive(self, function: Callable[[], object]) -> None:
        """Call ``function``, which must not wait, when nothing more can be sent; it still can be now."""
        if self._farewells is None:
            self._farewells = []
        self._farewells.append(function)

    def _bid_farewell(self) -> None:
        farewells, self._farewells = self._farewells or [], None
        for function in farewells:
            self._connection._channel.loop.guard(function)

    def _code_of(self, outcome: int) -> Code:
        """Return the code for ``disconnected``."""
        if outcome == closing.OURS:
            return self._close_code
        if outcome == closing.ABNORMAL or self._final is None:
            return Code.CLOSED_ABNORMALLY
        if isinstance(self._final, Close):
            self.close_description = self._final.reason
        return self._final.code

    def _send_close(self, outcome: int) -> None:
        endpoint = self._connection._endpoint
        if outcome == closing.RULE and isinstance(self._final, ProtocolError):
            endpoint.close(self._final.code, self._final.message)
        elif outcome == closing.PEERS and self._final is not None:
            endpoint.close(self._final.code)
        else:
            endpoint.close(self._close_code, self._close_text)
        self._connection._channel.cork()

    def _carry_out(self, state: int, actions: int) -> None:
        """Do with the socket what the table says."""
        connection = self._connection
        if actions & closing.RESUME:
            connection._resume_reading()
        if state in (closing.FINISHING, closing.ANSWERING):
            connection._watches_output = True
            connection._channel.cork()
        if actions & closing.SHUT_DOWN:
            try:
                connection._channel.transport.shutdown_write()
            except OSError:
                self.advance(closing.LOST)
        if actions & closing.RELEASE:
            connection._rest = None
            connection._channel.release()
            self._check_whether_over()

    def _is_news_due(self) -> bool:
        """Return whether a worker has something to do besides ``received``."""
        if self.told == Told.NOTHING or self.state in closing.HELD:
            return True
        return self.outcome is not None and self.told == Told.CONNECTED

    def _schedule(self) -> None:
        """Let a worker, or the greenlet in ``receive``, do what there is to do. In any greenlet."""
        connection = self._connection
        due = connection._has_news and not connection._working
        if not self._scheduled and (connection._receiver is not None or due):
            self._scheduled = True
            connection._channel.loop.hub.loop.run_callback(self._run_when_scheduled)

    def _run_when_scheduled(self) -> None:
        self._scheduled = False
        loop = self._connection._channel.loop
        loop.guard(self._connection._go_to_work)
        loop.flush()

    def closes_at_once(self) -> bool:
        return self.state == closing.ANSWERING

    def output_left(self) -> None:
        connection = self._connection
        size = connection._endpoint.output_size
        if size < connection._max_send_buffer:
            self._make_room()
        if not size and not connection._channel.is_pending():
            if self.state == closing.FINISHING:
                self.advance(closing.SENT)
            elif self.state == closing.ANSWERING:
                self.advance(closing.SENT if self._input_is_read() else closing.SENT_UNREAD)

    def _input_is_read(self) -> bool:
        """Return whether everything that the peer has sent was read, discarding what was not.

        A socket that is closed with input unread is reset, which can destroy our close frame on its way.
        """
        self._connection._rest = None
        channel = self._connection._channel
        size = LAST_LOOK if channel.transport.secure else 1
        try:
            # Not into the loop's buffer: the caller may be a callback of the connection whose input is there.
            return leaf.Buffer(bytearray(size)).receive(channel.transport, channel._fd, size) <= 0
        except OSError:
            return True

    def _check_whether_over(self) -> None:
        """Tell the host when ``disconnected`` has returned and the descriptor is closed."""
        if self.told == Told.EVERYTHING and self.state == closing.CLOSED:
            assert self.outcome is not None
            self._host.websocket_closed(self._connection, self.outcome)

    # Calls of the service (in a worker)

    def step(self) -> None:
        if self.told == Told.NOTHING:
            self._tell_connected()
        elif self.state in closing.HELD:
            self._go_on_to_last_word()
        elif self.outcome is not None and self.told == Told.CONNECTED:
            self.told = Told.DISCONNECTED
            try:
                self._call("disconnected", self.outcome)
            finally:
                self.told = Told.EVERYTHING
                self._connection._channel.loop.guard(self._check_whether_over)
        self._connection._has_news = self._is_news_due()

    def _go_on_to_last_word(self) -> None:
        """Let it be said, unless some of what was received before it is still to be parsed."""
        if self.state == closing.LEAVING and self._connection._rest is not None:
            self._connection._take_rest()
        else:
            self.advance(closing.HANDLED)

    def _tell_connected(self) -> None:
        self.told = Told.CONNECTED
        self._connection._greeted = True
        self._call("connected")
        if self.pulls:
            with suppress(ConnectionClosed):
                self._call("run")
            self._connection._discard_inbox()
            if self.state == closing.LEAVING:
                self.advance(closing.HANDLED)
            self.advance(closing.CLOSE, Code.NORMAL)

    def _call(self, name: str, *args: object) -> None:
        service = self._connection.service
        callback = getattr(service, name)
        # Not ``run``, which takes as long as the connection lasts.
        tally = None if name == "run" else self._connection._tally
        began = 0.0 if tally is None else monotonic()
        try:
            check_result(service, name, callback(self._connection, *args))
        finally:
            if tally is not None:
                tally.called(began)

    def failed(self, error: BaseException) -> None:
        connection, loop = self._connection, self._connection._channel.loop
        connection._discard_inbox()
        self.advance(closing.FAILED, Code.SERVER_ERROR)
        connection._has_news = self._is_news_due()
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            loop.report(error)
        # Last, and guarded: a handler may block, and be interrupted by a kill or a timeout.
        loop.guard(connection.service._log_failure, connection, error)

    def read_on(self) -> None:
        if self.state == closing.OPEN:
            self._connection._resume_reading()

    def wait_for_message(self) -> None:
        """Wait until there is something new: a message, or the end, which is raised."""
        connection = self._connection
        if self.state in closing.HELD:
            self._go_on_to_last_word()
        if connection._has_messages():
            return
        if self.state != closing.OPEN or self.told == Told.DISCONNECTED:
            reason = self._close_code if self.outcome is None else self.outcome
            raise ConnectionClosed(reason, self.close_description)
        if connection._receiver is not None:
            raise RuntimeError("another greenlet is waiting in receive() for this connection")
        receiver: Waiter[None] = Waiter(connection._channel.loop.hub)
        connection._receiver = receiver
        try:
            receiver.get()
        finally:
            if connection._receiver is receiver:
                connection._receiver = None

    # Those who wait until they may send

    def send_later(self, opcode: int, payload: bytes, compress: bool | None) -> bool:
        return self.senders.send(opcode, payload, compress)

    def broadcast_later(self, message: Broadcast) -> bool:
        return self.senders.broadcast(message)

    @property
    def senders(self) -> Senders:
        """Those who cannot send at once. In any thread."""
        with self._connection._channel.loop.lock:
            if self._senders is None:
                self._senders = Senders(self._connection, self._drop)
            return self._senders

    def _drop(self, code: Code, description: str) -> None:
        self.advance(closing.DROP, code, description)

    def _make_room(self) -> None:
        if self._senders is not None:
            self._senders.make_room()
