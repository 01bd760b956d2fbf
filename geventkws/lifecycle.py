"""The life of a connection: what the peer sent, what the service is told, and how it ends.

::

    OPEN ------- close() ------------------------------> CLOSING    our close frame is out, data is discarded
    OPEN ------- the peer's close, a failure, drop() --> FINISHING  no more is sent than what waits
    CLOSING ---- the peer's answer --------------------> FINISHING
    FINISHING -- all has left -------------------------> DRAINING   half-closed until the peer closes
    any -------- lost, or a time limit has passed -----> CLOSED     the descriptor is gone

The outcome, which ``disconnected`` is told, is known before the last bytes have left. A connection
is over when the service has been told and the descriptor is gone.

The service is told by a worker (``work``): ``connected``; then ``received`` (or one ``run``) until
the inbox is empty; then the peer's last event is answered; then ``disconnected``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from gevent.event import Event as Signal
from gevent.hub import Waiter

from geventkws.channel import Channel
from geventkws.frameloop import FrameLoop
from geventkws.options import ServerOptions
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.endpoint import Endpoint
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.messages import Event, Ping, Pong
from geventkws.service import WebSocketService
from geventkws.threadgate import ThreadGate
from geventkws.transport import Transport

if TYPE_CHECKING:
    from geventkws.connection import WebSocketConnection


class State(Enum):
    """Where the conversation with the peer stands."""

    OPEN = 1
    CLOSING = 2
    FINISHING = 3
    DRAINING = 4
    CLOSED = 5


class Told(Enum):
    """What the service has been told."""

    NOTHING = 0
    CONNECTED = 1
    DISCONNECTED = 2


class Lost:
    """The last event of a peer that went away without a close frame."""


LOST = Lost()


class ConnectionClosed(Exception):
    """``receive`` has nothing more to return: the connection has ended.

    ``reason`` is the ``WebSocketCloseReasonCode`` and ``description`` the peer's text.
    """

    def __init__(self, reason: Code, description: str = "") -> None:
        super().__init__(f"the connection has ended: {int(reason)} ({reason.name})")
        self.reason = reason
        self.description = description


class Host(Protocol):
    """What a connection needs of the server it belongs to."""

    options: ServerOptions

    def websocket_closed(self, connection: WebSocketConnection, reason: Code) -> None:
        """Forget a connection that is over."""


class Lifecycle(Channel):
    """A channel with a service on top of it."""

    __slots__ = (
        "_close_code",
        "_deadline",
        "_final",
        "_gate",
        "_host",
        "_inbox",
        "_inbox_size",
        "_outcome",
        "_receiver",
        "_room",
        "_scheduled",
        "_state",
        "_told",
        "_working",
        "close_description",
        "service",
        "started_at",
    )

    def __init__(self, transport: Transport, host: Host, service: WebSocketService) -> None:
        endpoint = Endpoint(service.max_message_size, host.options.max_fragments)
        super().__init__(FrameLoop.current(), transport, endpoint)
        self.service = service
        self.close_description = ""
        self.started_at = monotonic()
        self._host = host
        self._state = State.OPEN
        self._told = Told.NOTHING
        self._inbox: deque[str | bytes] | None = None
        self._inbox_size = 0
        self._final: Close | ProtocolError | Lost | None = None
        self._close_code = Code.NORMAL
        self._outcome: Code | None = None
        self._deadline: float | None = None
        self._working = False
        self._scheduled = False
        self._room: Signal | None = None
        self._receiver: Waiter[None] | None = None
        self._gate: ThreadGate | None = None

    def face(self) -> WebSocketConnection:
        """Return this connection as services and the server know it."""
        raise NotImplementedError

    def begin_soon(self, read_ahead: bytes) -> None:
        """Start, in the hub's next turn; ``read_ahead`` arrived behind the request head."""
        self._scheduled = True
        self._loop.hub.loop.run_callback(self._begin, read_ahead)

    def _begin(self, read_ahead: bytes) -> None:
        self._scheduled = False
        self._loop.guard(self._read_first, read_ahead)
        self._loop.flush()

    def _read_first(self, read_ahead: bytes) -> None:
        if self._state is not State.CLOSED:
            self.start_reading()
        self.handle(self._endpoint.receive(read_ahead))

    # What the peer sent (in the hub)

    def handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, (str, bytes)):
                if self._state is State.OPEN:
                    self._put_into_inbox(event)
            elif isinstance(event, Ping):
                self.pong(event.payload)
            elif not isinstance(event, Pong):
                self._take_last(event)
        if self._inbox and self._inbox_is_full():
            self.pause_reading()
        self.go_to_work()

    def _take_last(self, event: Close | ProtocolError | Lost) -> None:
        """Keep the peer's last event until the messages before it are handled, or end our own close."""
        if self._state is State.OPEN:
            if self._final is None:
                self._final = event
                self._deadline = monotonic() + self._host.options.close_timeout
        elif self._state is State.CLOSING:
            answered = isinstance(event, Close)
            if isinstance(event, Close):
                self.close_description = event.reason
            self.finish(self._close_code if answered else Code.CLOSED_ABNORMALLY)

    def end_of_stream(self) -> None:
        if self._state is State.OPEN:
            self.pause_reading()
            self._take_last(LOST)
            self.go_to_work()
        elif self._state is State.FINISHING and (self._endpoint.output or self._transport.pending):
            self.pause_reading()
        else:
            self.lost()

    def lost(self) -> None:
        if self._state is State.OPEN and self._final is None:
            self._final = LOST
        elif self._state is State.CLOSING:
            self._outcome = Code.CLOSED_ABNORMALLY
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            self._deadline = None
            self.release()
            self._changed()
            self.check_whether_over()

    # Whose turn it is

    def go_to_work(self) -> None:
        """Let a worker, or the greenlet that waits in ``receive``, do what there is to do. In the hub."""
        if self._working:
            if self._receiver is not None and not self._is_idle():
                receiver, self._receiver = self._receiver, None
                self._loop.resume(receiver)
        elif self._told is Told.NOTHING or not self._is_idle():
            self._working = True
            self._loop.lend(self)

    def _is_idle(self) -> bool:
        if self._inbox or self._final is not None:
            return False
        return self._outcome is None or self._told is Told.DISCONNECTED

    def work(self) -> None:
        """Tell the service all there is to tell. In a worker."""
        raise NotImplementedError

    def _changed(self) -> None:
        """Wake whoever waits for the state that has just changed. In any greenlet."""
        if self._room is not None:
            self._room.set()
            self._room = None
        if self._gate is not None:
            self._gate.open()
        if not self._scheduled and (self._receiver is not None or not self._working):
            self._scheduled = True
            self._loop.hub.loop.run_callback(self._run_when_scheduled)

    def _run_when_scheduled(self) -> None:
        self._scheduled = False
        self._loop.guard(self.go_to_work)
        self._loop.flush()

    # The inbox

    def _put_into_inbox(self, message: str | bytes) -> None:
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(message)
        self._inbox_size += len(message)

    def _inbox_is_full(self) -> bool:
        options = self._host.options
        return self._inbox is not None and (
            len(self._inbox) >= options.max_inbox_messages or self._inbox_size >= options.max_inbox_size
        )

    def next_message(self) -> str | bytes:
        """Take the first message out of the inbox, which is not empty; read on when there is room again."""
        assert self._inbox
        message = self._inbox.popleft()
        self._inbox_size -= len(message)
        if not self._inbox:
            # An idle connection keeps no empty deque, which would be 600 bytes.
            self._inbox = None
        if self._paused_at is not None and self._final is None and not self._inbox_is_full():
            self.resume_reading()
        return message

    def discard_inbox(self) -> None:
        """Forget the messages that the service will not be told of."""
        self._inbox = None
        self._inbox_size = 0
        self.resume_reading()

    # How it ends (in any greenlet of the hub's thread)

    def conclude(self) -> None:
        """Answer the peer's last event, after which only ``disconnected`` follows (RFC 6455, 7.1.4ff)."""
        final, self._final = self._final, None
        if isinstance(final, Close):
            self.close_description = final.reason
            self.finish(final.code)
        elif isinstance(final, ProtocolError):
            self.finish(final.code, final.message)
        else:
            self.finish(Code.CLOSED_ABNORMALLY)

    def start_closing(self, code: Code, description: str) -> None:
        """Send our close frame and wait for the peer's, discarding what else arrives (RFC 6455, 7.1.2)."""
        if self._state is not State.OPEN:
            return
        if self._final is not None:
            # The peer was first: its code counts, and our frame answers its.
            self.discard_inbox()
            self.conclude()
            return
        self._endpoint.close(code, description)
        self._close_code = code
        self._state = State.CLOSING
        self._deadline = monotonic() + self._host.options.close_timeout
        self.discard_inbox()
        self.cork()
        self._changed()

    def finish(self, outcome: Code, description: str = "") -> None:
        """Let what waits leave, a close frame last, then half-close and drain (RFC 6455, 7.1.1)."""
        if self._outcome is None:
            self._outcome = outcome
        if self._state is not State.CLOSED:
            if outcome is not Code.CLOSED_ABNORMALLY:
                self._endpoint.close(outcome, description)
            self._state = State.FINISHING
            self._deadline = monotonic() + self._host.options.close_timeout
            self.resume_reading()
            self.cork()
        self._changed()

    def flushed(self) -> None:
        size = self._endpoint.output_size
        if size < self._host.options.max_send_buffer:
            if self._room is not None:
                self._room.set()
                self._room = None
            if self._gate is not None:
                self._gate.open()
        if self._state is State.FINISHING and not size and not self._transport.pending:
            self._state = State.DRAINING
            try:
                self._transport.shutdown_write()
            except OSError:
                self.lost()
            else:
                if self._paused_at is not None:  # the peer's end came first
                    self.lost()

    def check_whether_over(self) -> None:
        """Take leave of the host when the service has been told and the descriptor is gone."""
        if self._told is Told.DISCONNECTED and self._state is State.CLOSED and not self._working:
            assert self._outcome is not None
            self._host.websocket_closed(self.face(), self._outcome)

    # Time (called by the server's sweep, in the hub)

    def sweep(self, now: float) -> None:
        """Enforce the time limits; ``now`` is of ``time.monotonic``."""
        options = self._host.options
        timeout = self.service.connection_timeout
        if self._deadline is not None and now >= self._deadline:
            self._overdue()
        elif self._writer is not None and now - self._stuck_since >= (options.send_timeout or inf):
            self.lost()
        elif timeout and self._state is State.OPEN and self._paused_at is None:
            self._check_for_life(now, timeout / 2)

    def _overdue(self) -> None:
        self._deadline = None
        if self._state is State.OPEN:
            # The service is still busy with earlier messages; the peer need not wait for it any longer.
            self.conclude()
        else:
            self.lost()

    def _check_for_life(self, now: float, half: float) -> None:
        if self._pinged_at is None:
            if now - self._heard_at >= half:
                self._pinged_at = now
                self._endpoint.ping()
                self.cork()
        elif now - self._pinged_at >= half:
            # The hub may have been busy: what has arrived meanwhile counts.
            self()
            if self._pinged_at is not None:
                self.lost()
