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

import logging
from enum import Enum
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from gevent.event import Event as Signal

from geventkws.backend import Channel, Endpoint
from geventkws.frameloop import FrameLoop
from geventkws.hotloop import RECEIVE_BUFFER_SIZE
from geventkws.options import ServerOptions
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.deflate import Deflate
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.messages import Event, Ping
from geventkws.service import WebSocketService
from geventkws.threadgate import ThreadGate
from geventkws.transport import Transport

if TYPE_CHECKING:
    from geventkws.connection import WebSocketConnection

logger = logging.getLogger("geventkws.server")


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
    EVERYTHING = 3


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
        "_outcome",
        "_room",
        "_scheduled",
        "_state",
        "_told",
        "close_description",
    )

    _loop: FrameLoop
    service: WebSocketService
    """The service that this connection belongs to."""

    def __init__(
        self, transport: Transport, host: Host, service: WebSocketService, deflate: Deflate | None
    ) -> None:
        endpoint = Endpoint(service.max_message_size, host.options.max_fragments, deflate)
        super().__init__(FrameLoop.current(), transport, endpoint, service, host.options)
        self.close_description = ""
        self._host = host
        self._state = State.OPEN
        self._told = Told.NOTHING
        self._final: Close | ProtocolError | Lost | None = None
        self._close_code = Code.NORMAL
        self._outcome: Code | None = None
        self._deadline: float | None = None
        self._scheduled = False
        self._room: Signal | None = None
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
        try:
            self._read_first(read_ahead)
            self._loop.flush()
        except BaseException as error:
            self.crashed(error)

    def _read_first(self, read_ahead: bytes) -> None:
        if self._state is not State.CLOSED:
            self.start_reading()
        self.take(self._endpoint.receive(read_ahead) if read_ahead else [])

    # What the peer sent (in the hub)

    def handle(self, event: Event) -> None:
        if isinstance(event, Ping):
            self.pong(event.payload)
        elif isinstance(event, (Close, ProtocolError)):
            self._take_last(event)

    def _take_last(self, event: Close | ProtocolError | Lost) -> None:
        """Keep the peer's last event until the messages before it are handled, or end our own close."""
        if self._state is State.OPEN:
            if self._final is None:
                self._final = event
                self._has_news = True
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
        elif self._state is State.FINISHING and (self._endpoint.output_size or self._transport.pending):
            self.pause_reading()
        else:
            self.lost()

    def lost(self) -> None:
        if self._state is State.OPEN and self._final is None:
            self._final = LOST
        elif self._state is State.CLOSING:
            self._outcome = Code.CLOSED_ABNORMALLY
        self._has_news = self._told is not Told.EVERYTHING
        if self._state is not State.CLOSED:
            self._leave_open(State.CLOSED)
            self._deadline = None
            self.release()
            self._changed()
            self.check_whether_over()

    def crashed(self, error: BaseException) -> None:
        self._loop.guard(self.lost)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self._loop.report(error)
        elif not isinstance(error, OSError):
            self._loop.guard(
                partial(logger.error, "internal error; the connection is dropped", exc_info=error)
            )
        # Not at once: this may be one of many connections that fail in a row, in a flush that is under way.
        self._loop.guard(self._loop.flush_soon)

    # Changes of state

    def _leave_open(self, state: State) -> None:
        self._state = state
        self.active = False

    def _changed(self) -> None:
        """Wake whoever waits for the state that has just changed. In any greenlet."""
        if self._room is not None:
            self._room.set()
            self._room = None
        if self._gate is not None:
            self._gate.open()
        if not self._scheduled and (self._receiver is not None or (self._has_news and not self._working)):
            self._scheduled = True
            self._loop.hub.loop.run_callback(self._run_when_scheduled)

    def _run_when_scheduled(self) -> None:
        self._scheduled = False
        self._loop.guard(self.go_to_work)
        self._loop.flush()

    def inbox_has_room(self) -> None:
        if self._final is None:
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
        self._leave_open(State.CLOSING)
        self._deadline = monotonic() + self._host.options.close_timeout
        self.discard_inbox()
        self.cork()
        self._changed()

    def finish(self, outcome: Code, description: str = "") -> None:
        """Let what waits leave, a close frame last, then half-close and drain (RFC 6455, 7.1.1)."""
        if self._outcome is None:
            self._outcome = outcome
            self._has_news = True
        if self._state is not State.CLOSED:
            if outcome is not Code.CLOSED_ABNORMALLY:
                self._endpoint.close(outcome, description)
            self._leave_open(State.FINISHING)
            self._watches_output = True
            self._deadline = monotonic() + self._host.options.close_timeout
            self.resume_reading()
            self.cork()
        self._changed()

    def output_left(self) -> None:
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
        if self._told is Told.EVERYTHING and self._state is State.CLOSED:
            assert self._outcome is not None
            self._host.websocket_closed(self.face(), self._outcome)

    # Time (called by the server's sweep, in the hub)

    def sweep(self, now: float) -> None:
        """Enforce the time limits; ``now`` is of ``time.monotonic``.

        The hub may have been busy until just now, so nobody is judged before the socket has been tried
        once more: what the peer did in time counts.
        """
        timeout = self.service.connection_timeout
        if self._deadline is not None and now >= self._deadline:
            self._overdue()
        elif self._is_stuck(now):
            self.flush()
            if self._is_stuck(now):
                self.lost()
        elif timeout and self._state is State.OPEN and self._final is None and self._paused_at is None:
            self._check_for_life(now, timeout / 2)

    def _is_stuck(self, now: float) -> bool:
        """Tell whether the peer has taken nothing of what waits for it within ``send_timeout``."""
        limit = self._host.options.send_timeout
        return self._writer is not None and limit is not None and now - self._stuck_since >= limit

    def _overdue(self) -> None:
        state = self._state
        if state is State.OPEN:
            # The service is still busy with earlier messages; the peer need not wait for it any longer.
            self._deadline = None
            self.conclude()
            return
        self.flush()
        self._receive_what_came_in_time()
        if self._state is not state:
            return
        end_of_patience = self._stuck_since + self._host.options.close_timeout
        if state is State.FINISHING and self._writer is not None and end_of_patience > monotonic():
            self._deadline = end_of_patience  # what was sent is still on its way
        else:
            self.lost()

    def _receive_what_came_in_time(self) -> None:
        """Receive what is there now, up to a limit: a peer that sends on and on wins no time by it."""
        endpoint, received = self._endpoint, -1
        limit = endpoint.bytes_received + RECEIVE_BUFFER_SIZE
        while self._reader is not None and received < endpoint.bytes_received < limit:
            received = endpoint.bytes_received
            self()

    def _check_for_life(self, now: float, half: float) -> None:
        """Ping a peer that has been silent for ``half`` seconds; it is lost after as many again."""
        if self._pinged_at is None:
            if now - self._heard_at >= half:
                self._pinged_at = now
                self._endpoint.ping()
                self.cork()
            return
        if now - self._pinged_at < half:
            return
        if self._writer is not None:
            # The ping is behind other output; a peer that takes that, be it slowly, is alive. The watcher
            # is no witness: the kernel reports room only when there is a lot of it.
            self.flush()
            if now - self._pinged_at < half:
                return  # it has only now left
            if self._stuck_since > self._pinged_at:
                self._pinged_at = self._stuck_since
                return
        if self._reader is not None:
            self()
        if self._pinged_at is not None:
            self.lost()
