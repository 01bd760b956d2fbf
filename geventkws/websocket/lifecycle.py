"""The lives of a server's WebSocket connections: when a service is called, and what happens in rare cases.

A worker on loan from the loop calls the service: ``connected``; then ``received`` until the inbox is empty
(or ``run``, once); then the peer's last word is answered; then ``disconnected``.

There is one ``Lifecycle`` for each server. What it has to know of a connection stands in that: an open one
has only its few flags, and gets an ``Ending`` when it begins to end, which ``transitions`` does.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from time import monotonic

from gevent.hub import Waiter

from geventkws.backend import use_compiled
from geventkws.lazy import check_result
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.closing import (
    ANSWERING,
    CLOSE,
    CLOSED,
    DROP,
    FAILED,
    HANDLED,
    HELD,
    LEAVE,
    LEAVING,
    LOST,
    OPEN,
    PEER_CLOSE,
    PEER_END,
    PEER_ERROR,
)
from geventkws.protocol.endpoint import Broadcast
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.messages import Event, Ping
from geventkws.websocket import delegate, keepalive, transitions
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.conversation import Conversation
from geventkws.websocket.ending import Ending
from geventkws.websocket.meter import Meter
from geventkws.websocket.senders import Senders
from geventkws.websocket.transitions import (
    CONNECTED,
    DISCONNECTED,
    EVERYTHING,
    NOTHING,
    advance,
    check_whether_over,
)


class Lifecycle(delegate.Delegate):
    """What is done for the connections of one server in rare cases."""

    __slots__ = ()

    # What the peer has sent (in the hub)

    def handle(self, connection: Conversation, event: Event) -> None:
        if isinstance(event, Ping):
            answer_ping(connection, event.payload)
        elif isinstance(event, Close):
            transitions.take_last_word(connection, event, PEER_CLOSE)
        elif isinstance(event, ProtocolError):
            transitions.take_last_word(connection, event, PEER_ERROR)

    def measure(self, connection: Conversation, meter: Meter) -> None:
        fault = meter.measure(connection._endpoint, monotonic())
        if fault is not None and connection._state == OPEN:
            transitions.advance(connection, DROP, Code.POLICY_VIOLATION, fault)

    def end_of_stream(self, connection: Conversation) -> None:
        transitions.advance(connection, PEER_END)
        connection._go_to_work()

    def lost(self, connection: Conversation) -> None:
        transitions.advance(connection, LOST)

    def crashed(self, connection: Conversation, error: BaseException) -> None:
        """End the connection because of an error on the socket or in our own code. Never raises."""
        loop = connection._channel.loop
        if isinstance(error, OSError) and connection._rest is not None and connection.active:
            # The peer reads no more, but the service is to get what it has sent. Reading finds the end.
            connection._endpoint.sent(connection._endpoint.output_size)
            connection._channel.has_room()
            return
        loop.guard(self.lost, connection)
        loop.explain(error)
        # Not at once: this may be one of many connections that fail in a row, during a flush.
        loop.guard(loop.flush_soon)

    # Time limits, and the end of the server (in the hub)

    def check(self, connection: Conversation, now: float) -> None:
        """Enforce the time limits; ``now`` is the time by ``time.monotonic``."""
        if connection._meter is not None:
            self._refill(connection, connection._meter, now)
        if not transitions.check_deadline(connection, now):
            send_timeout = self.host.options.send_timeout
            keepalive.check(connection, now, send_timeout, pings=connection._state == OPEN)

    def _refill(self, connection: Conversation, meter: Meter, now: float) -> None:
        """Read on where that was to wait until now."""
        meter.fill(now)
        if connection._channel.paused_at is not None and not connection._has_enough():
            self.read_on(connection)

    def leave(self, connection: Conversation, code: Code, text: str) -> None:
        """Close for the server, as soon as the service has handled everything that has arrived."""
        transitions.advance(connection, LEAVE if _is_handling(connection) else CLOSE, code, text)

    def abandon(self, connection: Conversation) -> None:
        """Give up the connection; in ``LEAVING``, the peer still gets the close frame that was held back."""
        is_leaving = connection._state == LEAVING
        transitions.advance(connection, DROP if is_leaving else LOST)

    def forsake(self, connection: Conversation) -> None:
        """Forget the connection: in a child process, it belongs to the parent."""
        connection._state = CLOSED
        connection.active = False
        connection._told = EVERYTHING
        connection._senders = None  # a thread of the parent may hold the lock of its gate
        connection._farewells = None
        connection._rest = None
        connection._channel.release()
        connection._discard_inbox()
        connection._has_news = False

    # Calls of the service (in a worker)

    def step(self, connection: Conversation) -> None:
        outcome = transitions.outcome_of(connection)
        if connection._told == NOTHING:
            self._tell_connected(connection)
        elif connection._state in HELD:
            _go_on_to_last_word(connection)
        elif outcome is not None and connection._told == CONNECTED:
            connection._told = DISCONNECTED
            try:
                _call(connection, "disconnected", outcome)
            finally:
                connection._told = EVERYTHING
                connection._channel.loop.guard(check_whether_over, connection)
        connection._has_news = transitions.is_news_due(connection)

    def _tell_connected(self, connection: Conversation) -> None:
        connection._told = CONNECTED
        connection._greeted = True
        _call(connection, "connected")
        if connection._pulls:
            with suppress(ConnectionClosed):
                _call(connection, "run")
            connection._discard_inbox()
            if connection._state == LEAVING:
                transitions.advance(connection, HANDLED)
            transitions.advance(connection, CLOSE, Code.NORMAL)

    def failed(self, connection: Conversation, error: BaseException) -> None:
        loop = connection._channel.loop
        connection._discard_inbox()
        transitions.advance(connection, FAILED, Code.SERVER_ERROR)
        connection._has_news = transitions.is_news_due(connection)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            loop.report(error)
        # Last, and guarded: a handler may block, and be interrupted by a kill or a timeout.
        loop.guard(connection.service._log_failure, connection, error)

    def read_on(self, connection: Conversation) -> None:
        if connection._state == OPEN:
            connection._resume_reading()

    def wait_for_message(self, connection: Conversation) -> None:
        """Wait until there is something new: a message, or the end, which is raised."""
        if connection._state in HELD:
            _go_on_to_last_word(connection)
        if connection._has_messages():
            return
        if connection._state != OPEN or connection._told == DISCONNECTED:
            ending = connection._ending or Ending()
            raise ConnectionClosed(ending.outcome or ending.close_code, ending.peers_text)
        if connection._receiver is not None:
            raise RuntimeError("another greenlet is waiting in receive() for this connection")
        receiver: Waiter[None] = Waiter(connection._channel.loop.hub)
        connection._receiver = receiver
        try:
            receiver.get()
        finally:
            if connection._receiver is receiver:
                connection._receiver = None

    # The output

    def closes_at_once(self, connection: Conversation) -> bool:
        return connection._state == ANSWERING

    def output_left(self, connection: Conversation) -> None:
        transitions.output_left(connection)

    def send_later(
        self, connection: Conversation, opcode: int, payload: bytes, compress: bool | None
    ) -> bool:
        return self.senders(connection).send(opcode, payload, compress)

    def broadcast_later(self, connection: Conversation, message: Broadcast) -> bool:
        return self.senders(connection).broadcast(message)

    def senders(self, connection: Conversation) -> Senders:
        """Return those who cannot send at once. In any thread."""
        with connection._channel.loop.lock:
            senders: Senders | None = connection._senders  # which the hub may give up at any time
            if senders is None:
                senders = Senders(connection, partial(advance, connection, DROP))
                connection._senders = senders
            return senders


def answer_ping(connection: Conversation, payload: bytes) -> None:
    """Send a pong; while the peer reads nothing, only its latest ping is answered (RFC 6455, 5.5.3)."""
    if connection._channel.awaits_room:
        connection._pong = payload
    else:
        connection._endpoint.pong(payload)
        connection._channel.cork()


def is_busy(connection: Conversation) -> bool:
    """Return whether callbacks of the service have yet to return."""
    return connection._told != EVERYTHING


def _is_handling(connection: Conversation) -> bool:
    """Return whether the service has yet to handle something that has arrived."""
    if connection._has_messages() or connection._rest is not None:
        return True
    # A service that has received nothing answers nothing, and may only check ``active`` now and then.
    is_at_work = connection._working and connection._receiver is None
    return is_at_work and connection._endpoint.messages_received > 0


def _go_on_to_last_word(connection: Conversation) -> None:
    """Let it be said, unless some of what was received before it is still to be parsed."""
    if connection._state == LEAVING and connection._rest is not None:
        connection._take_rest()
    else:
        transitions.advance(connection, HANDLED)


def _call(connection: Conversation, name: str, *args: object) -> None:
    """Call the service, and count how long that takes, if anybody wants to know."""
    service = connection.service
    callback = getattr(service, name)
    # Not ``run``, which takes as long as the connection lasts.
    tally = None if name == "run" else connection._tally
    began = 0.0 if tally is None else monotonic()
    try:
        check_result(service, name, callback(connection, *args))
    finally:
        if tally is not None:
            tally.called(began)


use_compiled(__name__, globals())
