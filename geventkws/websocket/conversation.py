"""What is done for every message: from the channel to the service, and back.

::

    readable -> transport.recv_into -> FrameParser.feed -> inbox -> service.received
             -> send -> encode_frame -> transport.send

What is rare (control frames, the first and the last callback, endings, waiting, other threads) is left to
the delegate, and what services call besides ``send`` is in the subclass, ``WebSocketConnection``.
Everything here runs in the hub or in a greenlet of the hub's thread, and nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.hub import Waiter

from geventkws.backend import use_compiled
from geventkws.lazy import check_result
from geventkws.loop import leaf, roles
from geventkws.loop.channel import Channel
from geventkws.loop.loop import CROWDED_READ
from geventkws.loop.workers import is_away
from geventkws.net.tls_records import MAX_CIPHERTEXT
from geventkws.protocol.closing import OPEN
from geventkws.protocol.endpoint import Broadcast, Endpoint, Message, encode_message
from geventkws.protocol.messages import Event
from geventkws.protocol.opcodes import BINARY
from geventkws.websocket import intake
from geventkws.websocket.delegate import Delegate
from geventkws.websocket.ending import Ending
from geventkws.websocket.intake import UNWANTED
from geventkws.websocket.meter import Meter
from geventkws.websocket.tally import Tally

MAX_FRAMES = 64
"""How many frames are parsed between two looks at the clock."""

MAX_TAKEN = 256
"""How many messages are taken out of the inbox before their places in its list are removed."""

COMPRESSED_READ = 4 * 1024
"""Bytes read at once if messages are compressed: in one turn, they inflate to 4 MiB at most.

Over TLS, a record is decrypted whole, so it may be 16 KiB more.
"""


def read_size(channel: Channel, compressed: bool) -> int:
    """Return how many bytes to receive at once."""
    if compressed:
        size = COMPRESSED_READ
    elif channel.loop.is_crowded():
        size = CROWDED_READ
    else:
        return channel.loop.buffer.size
    return size + MAX_CIPHERTEXT if channel.transport.secure else size


class Conversation(roles.Owner):
    """A channel's owner that speaks WebSocket: an endpoint, an inbox and a service."""

    __slots__ = (
        "_channel",
        "_ending",
        "_endpoint",
        "_farewells",
        "_greeted",
        "_has_news",
        "_heard_at",
        "_inbox",
        "_inbox_size",
        "_inbox_start",
        "_lifecycle",
        "_meter",
        "_pinged_at",
        "_pong",
        "_pulls",
        "_receiver",
        "_rest",
        "_scheduled",
        "_senders",
        "_started_at",
        "_state",
        "_stuck_since",
        "_tally",
        "_told",
        "_watches_output",
        "_working",
        "active",
        "service",
    )

    def __init__(self, channel: Channel, endpoint: Endpoint, service: Any, delegate: Delegate) -> None:
        self.service = service
        self.active = True
        """Whether messages may still be sent: neither side has closed, and the socket is open."""
        self._lifecycle = delegate
        self._channel = channel
        self._endpoint = endpoint
        # A list and the index of its first message: with few messages, the usual case, faster than a deque.
        self._inbox: list[Any] | None = None
        self._inbox_start = self._inbox_size = 0
        self._rest: leaf.Buffer | None = None
        """What has been received but not parsed."""
        self._has_news = True
        self._greeted = self._working = self._watches_output = False
        self._receiver: Waiter[None] | None = None
        self._pong: bytes | None = None
        self._started_at = self._heard_at = leaf.monotonic()
        self._pinged_at: float | None = None
        self._stuck_since = 0.0
        self._tally: Tally | None = None
        """Where the connection is counted, if anybody keeps count."""
        self._meter: Meter | None = None
        """What measures how fast the client sends, if that is limited."""
        self._state, self._told = OPEN, 0  # this and the rest is for the delegate
        self._pulls = self._scheduled = False
        self._ending: Ending | None = None
        self._farewells: tuple[Callable[[Any], object], ...] | None = None
        self._senders: Any = None

    # Receiving (in the hub)

    def _readable(self) -> bool:
        channel = self._channel
        count = self._receive()
        if count == channel.loop.buffer.size and self._wants_more():
            count = self._receive()
        return count > 0

    def _wants_more(self) -> bool:
        """Return whether to receive the rest of a long message at once: it may already be there."""
        channel = self._channel
        is_free = channel.is_reading and self._rest is None
        return is_free and intake.wants_rest(self._endpoint, channel.transport)

    def _receive(self) -> int:
        """Receive what there is now; return how many bytes that was."""
        channel, endpoint = self._channel, self._endpoint
        events: list[Event] = []
        try:
            count = UNWANTED
            if self._meter is None:
                count = intake.receive_rest(endpoint, channel.transport, channel._fd, events)
            in_place = count != UNWANTED
            if not in_place:
                size = read_size(channel, endpoint.deflate is not None)
                if self._meter is not None:
                    size = self._meter.size_to_read(size, channel.transport.secure)
                count = channel.receive(size)
        except OSError:
            self._lifecycle.lost(self)
            return 0
        if count > 0:
            self._heard_at = channel.loop.now
            self._pinged_at = None
            channel.is_new = False
            if not in_place:
                self._take_in(channel.loop.buffer, events)
            elif events:
                self._take(events)
        elif not count:
            self._lifecycle.end_of_stream(self)
        if channel.is_pending():
            channel.cork()
        return max(count, 0)

    def _proceed(self) -> None:
        self._go_to_work()
        rest = self._rest
        if rest is None or self._channel.paused_at is not None:
            return  # what is left is taken when the inbox has room
        if self._channel.loop.turn_is_over():
            self._channel.queue()
        else:
            self._take_rest()

    def _take_rest(self) -> None:
        """Take more of what was received before; there is some."""
        rest, self._rest = self._rest, None
        assert rest is not None
        self._take_in(rest, [])

    def _take_in(self, buffer: leaf.Buffer, events: list[Event]) -> None:
        """Parse what was received until the turn is over or the inbox is full; keep the rest for later."""
        channel = self._channel
        while True:
            intake.parse(self._endpoint, buffer, MAX_FRAMES if self._meter is None else 1, events)
            self._take(events)
            if buffer.start >= buffer.end or not channel.is_open:
                return
            if channel.paused_at is not None or channel.loop.turn_is_over():
                is_shared = buffer is channel.loop.buffer
                self._rest = leaf.Buffer(bytearray(buffer.copy())) if is_shared else buffer
                if channel.paused_at is None:
                    channel.queue()
                return
            events = []

    def _take(self, events: list[Event]) -> None:
        """Put messages into the inbox, let the rest be handled, and go to work."""
        if self._meter is not None:
            self._lifecycle.measure(self, self._meter)
        for event in events:
            if type(event) is not str and type(event) is not bytes:
                self._lifecycle.handle(self, event)
            elif self.active:
                if self._inbox is None:
                    self._inbox = []
                    self._inbox_start = 0
                self._inbox.append(event)
                self._inbox_size += intake.storage(event)
        self._go_to_work()
        if self.active and self._has_enough():
            self._channel.pause()

    def _has_enough(self) -> bool:
        """Return whether nothing more is to be read for now: the inbox is full, or more would be too fast."""
        if self._meter is not None and self._meter.is_empty:
            return True
        if self._inbox is None:
            return False
        if len(self._inbox) - self._inbox_start >= self._lifecycle.max_inbox_messages:
            return True
        return self._inbox_size >= self._lifecycle.max_inbox_size

    def _has_messages(self) -> bool:
        """Return whether there are messages in the inbox."""
        return self._inbox is not None

    def _discard_inbox(self) -> None:
        """Forget the messages that the service will not get."""
        self._inbox = None
        self._inbox_size = 0
        self._resume_reading()

    def _resume_reading(self) -> None:
        """Read again after ``Channel.pause``, during which the idle clock stood still."""
        channel = self._channel
        if channel.paused_at is not None:
            paused = leaf.monotonic() - channel.paused_at
            self._heard_at += paused
            if self._pinged_at is not None:
                self._pinged_at += paused
            channel.resume()
            if self._rest is not None:
                channel.queue()

    # The service (in a worker)

    def _go_to_work(self) -> None:
        """Let the greenlet that waits in ``receive``, or a worker, do what there is to do. In the hub."""
        loop = self._channel.loop
        due = self._inbox is not None or self._has_news
        if self._receiver is not None and (due or not self.active):
            receiver, self._receiver = self._receiver, None
            loop.resume(receiver)
            due = self._inbox is not None or self._has_news
        if not self._working and due:
            self._working = True
            loop.lend(self)

    def _work(self) -> None:
        """Call the service with whatever there is for it, until the turn is over. Never raises."""
        loop = self._channel.loop
        now = 0.0  # if it is known
        while True:
            try:
                if self._inbox and self._greeted:
                    if self._tally is not None and not now:
                        now = leaf.monotonic()
                    try:
                        result = self.service.received(self._take_first(), self)
                    finally:
                        if self._tally is not None:
                            now = self._tally.called(now)
                    if result is not None:
                        check_result(self.service, "received", result)
                    # The clock is not read again if the time has just been read.
                    if self._inbox and (loop.ends_turn(now) if now else loop.turn_is_over()):
                        if not is_away():
                            self._channel.queue()
                            break
                        # A worker that has blocked stays with its connection.
                        loop.wait_for_turn()
                        now = 0.0
                elif self._has_news:
                    self._lifecycle.step(self)
                    now = 0.0
                else:
                    break
            except BaseException as error:
                self._lifecycle.failed(self, error)
                now = 0.0
        self._working = False

    def _blocked(self, worker: object) -> None:
        """Do nothing: a callback that blocks is left to itself."""

    def _next_message(self) -> str | bytes:
        """Take the first message out of the inbox, which is not empty; with room again, go on reading."""
        message: str | bytes = self._take_first()
        return message

    def _take_first(self) -> Any:
        inbox, start = self._inbox, self._inbox_start
        assert inbox is not None
        message = inbox[start]
        inbox[start] = None
        self._inbox_start = start + 1
        self._inbox_size -= intake.storage(message)
        if start + 1 == len(inbox):
            # An idle connection keeps no empty list.
            self._inbox = None
        elif start + 1 >= MAX_TAKEN:
            del inbox[: start + 1]
            self._inbox_start = 0
        if self._channel.paused_at is not None and not self._has_enough():
            self._lifecycle.read_on(self)
        return message

    # Sending

    def send(self, message: Message, as_binary: bool | None = None, compress: bool | None = None) -> bool:
        """Send a message (Kitura: ``send(message:asBinary:)``).

        ``message`` is sent as text if it is a ``str``, otherwise as binary; ``as_binary`` overrides this
        (text must then be valid UTF-8). Returns ``True`` if the message was taken, ``False`` if the
        connection is no longer open. Blocks while ``max_send_buffer`` bytes wait for the peer; in the
        hub itself, which cannot wait, such a connection is ended with 1013 instead.

        If compression was negotiated, ``compress`` overrides the threshold of the service.

        Raises ``TypeError`` for a message of another type, and ``ValueError`` for text that is not UTF-8.
        """
        endpoint, channel = self._endpoint, self._channel
        if endpoint.output_size >= self._lifecycle.max_send_buffer or channel.loop.is_foreign_thread():
            opcode, payload = encode_message(message, as_binary)
            return self._lifecycle.send_later(self, opcode, payload, compress)
        if as_binary is None and self.active and endpoint.deflate is None:
            if type(message) is str:
                endpoint.send_text(message)
                channel.cork()
                return True
            if type(message) is bytes:
                endpoint.send(BINARY, message)
                channel.cork()
                return True
        opcode, payload = encode_message(message, as_binary)
        return self._send_now(opcode, payload, compress)

    def _send_broadcast(self, message: Broadcast) -> bool:
        """Send a message that goes to many connections, without ever waiting (see ``broadcast``)."""
        endpoint, channel = self._endpoint, self._channel
        if endpoint.output_size >= self._lifecycle.max_send_buffer or channel.loop.is_foreign_thread():
            return self._lifecycle.broadcast_later(self, message)
        if not self.active:
            return False
        endpoint.send_encoded(message.frame_for(endpoint.deflate))
        channel.cork()
        return True

    def _send_now(self, opcode: int, payload: bytes, compress: bool | None = None) -> bool:
        """Send regardless of the limit; return ``False`` if the connection is no longer open."""
        if not self.active:
            return False
        self._endpoint.send(opcode, payload, compress)
        self._channel.cork()
        return True

    def _flush(self) -> None:
        endpoint, channel = self._endpoint, self._channel
        pending = not endpoint.output_size and channel.is_pending()
        while endpoint.output_size or pending:
            last = self._watches_output and self._lifecycle.closes_at_once(self)
            sent = channel.send_last(endpoint.to_send()) if last else channel.send(endpoint.to_send())
            if sent:
                endpoint.sent(sent)
                if channel.awaits_room:
                    self._stuck_since = leaf.monotonic()
            pending = channel.is_pending()
            if pending or (endpoint.output_size and not sent):
                if not channel.awaits_room:
                    self._stuck_since = leaf.monotonic()
                    channel.await_room()
                break
            if not endpoint.output_size and self._pong is not None:
                endpoint.pong(self._pong)
                self._pong = None
        if channel.awaits_room and not (endpoint.output_size or pending):
            channel.has_room()
            if self._pinged_at is not None:
                self._pinged_at = leaf.monotonic()  # the ping was queued after what has only now left
        if self._watches_output:
            self._lifecycle.output_left(self)


use_compiled(__name__, globals())
