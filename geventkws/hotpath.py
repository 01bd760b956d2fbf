"""What is done for every message, in readable Python: from the socket to the service, and back.

::

    readable -> transport.recv_into -> FrameParser.feed -> inbox -> service.received
             -> send -> encode_frame -> transport.send

What is rare (control frames, the first and the last callback, endings, waiting, other threads) a
``Channel`` leaves to the class on top of it, by the methods named under "Hooks". Everything here runs in
the hub or in a greenlet of the hub's thread, and nothing here waits.

``_hotpath.pyx`` is the compiled twin of this module and ``hotloop``.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Any

from gevent.hub import Waiter

from geventkws.hotloop import HotLoop, compressed_read
from geventkws.options import ServerOptions
from geventkws.protocol.endpoint import Broadcast, Endpoint, Message, encode_message
from geventkws.protocol.messages import Event
from geventkws.transport import Transport

logger = logging.getLogger("geventkws.server")

READ = 1
WRITE = 2


def storage(message: str | bytes) -> int:
    """Return the bytes that a message takes at most: a ``str`` has up to four for a character."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return 4 * len(message)


class Channel:
    """A transport, an endpoint and a service, driven by one read watcher whose callback is the channel."""

    __slots__ = (
        "_corked",
        "_endpoint",
        "_greeted",
        "_has_news",
        "_heard_at",
        "_inbox",
        "_inbox_size",
        "_loop",
        "_max_inbox_messages",
        "_max_inbox_size",
        "_max_send_buffer",
        "_paused_at",
        "_pinged_at",
        "_pong",
        "_reader",
        "_receiver",
        "_stuck_since",
        "_transport",
        "_watches_output",
        "_working",
        "_writer",
        "active",
        "service",
        "started_at",
    )

    def __init__(
        self, loop: HotLoop, transport: Transport, endpoint: Endpoint, service: Any, options: ServerOptions
    ) -> None:
        self.service = service
        self.active = True
        """Whether messages may still be sent: neither side has closed, and the socket is there."""
        self._loop = loop
        self._transport = transport
        self._endpoint = endpoint
        self._max_inbox_messages = options.max_inbox_messages
        self._max_inbox_size = options.max_inbox_size
        self._max_send_buffer = options.max_send_buffer
        self._inbox: deque[str | bytes] | None = None
        self._inbox_size = 0
        self._greeted = False
        self._has_news = True
        self._working = False
        self._corked = False
        self._watches_output = False
        self._receiver: Waiter[None] | None = None
        self._pong: bytes | None = None
        self._reader: Any = None
        self._writer: Any = None
        self.started_at = self._heard_at = monotonic()
        self._pinged_at: float | None = None
        self._paused_at: float | None = None
        self._stuck_since = 0.0

    # Hooks

    def handle(self, event: Event) -> None:
        """Take what the peer sent that is no message. In the hub."""
        raise NotImplementedError

    def end_of_stream(self) -> None:
        """Take note that the peer will send nothing more; it may still read. In the hub."""
        raise NotImplementedError

    def lost(self) -> None:
        """Take note that the connection is gone."""
        raise NotImplementedError

    def output_left(self) -> None:
        """Take note that some or all of the output has left; only asked for by ``_watches_output``."""
        raise NotImplementedError

    def crashed(self, error: BaseException) -> None:
        """Drop the connection for an error of the socket or of our own. Never raises."""
        raise NotImplementedError

    def step(self) -> None:
        """Do the next thing a worker has to do besides ``received``, or clear ``_has_news``."""
        raise NotImplementedError

    def failed(self, error: BaseException) -> None:
        """End the connection for an exception of the service."""
        raise NotImplementedError

    def inbox_has_room(self) -> None:
        """Take note that a full inbox has room again."""
        raise NotImplementedError

    def send_later(self, opcode: int, payload: bytes, compress: bool | None) -> bool:
        """Send from another thread, or when there is room again."""
        raise NotImplementedError

    def send_broadcast_later(self, message: Broadcast) -> bool:
        """Send a broadcast message from another thread, or end a connection that is over its limit."""
        raise NotImplementedError

    # Receiving (in the hub)

    def start_reading(self) -> None:
        """Watch the descriptor, from now until ``release``."""
        self._reader = self._loop.hub.loop.io(self._transport.fileno(), READ)
        self._start_reader()

    def _start_reader(self) -> None:
        if self._loop.stops_at_errors:
            self._reader.start(self, pass_events=True)
        else:
            self._reader.start(self)

    def __call__(self, events: int = READ) -> None:
        """Receive what has arrived: the read watcher's callback. Nothing is raised out of it.

        ``events`` is negative where libuv has seen an error, and watches no more.
        """
        try:
            received = self._receive()
            if events < 0:
                self._receive_before_error(received)
            self._loop.flush()
        except BaseException as error:
            # libev would stop the watcher, libuv throw into the main greenlet.
            self.crashed(error)

    def _receive_before_error(self, received: bool) -> None:
        """Receive on, until the error itself is received; if there is none, watch again."""
        while received and self._reader is not None and self._paused_at is None:
            received = self._receive()
        if self._reader is not None and self._paused_at is None:
            self._reader.stop()
            self._start_reader()

    def _receive(self) -> bool:
        """Take what there is now; return whether there was anything."""
        buffer = self._loop.buffer
        if self._endpoint.deflate is not None:
            buffer = buffer[: compressed_read(self._transport)]
        try:
            count = self._transport.recv_into(buffer)
        except OSError:
            self.lost()
            return False
        if count:
            self._heard_at = monotonic()
            self._pinged_at = None
            self.take(self._endpoint.receive(buffer[:count]))
        elif count is not None:
            self.end_of_stream()
        if self._transport.pending:
            self.cork()
        return bool(count)

    def take(self, events: Sequence[Event]) -> None:
        """Put messages into the inbox, hand the rest to ``handle``, and go to work."""
        for event in events:
            if not isinstance(event, (str, bytes)):
                self.handle(event)
            elif self.active:
                if self._inbox is None:
                    self._inbox = deque()
                self._inbox.append(event)
                self._inbox_size += storage(event)
        self.go_to_work()
        if self.active and self._inbox_is_full():
            self.pause_reading()

    def _inbox_is_full(self) -> bool:
        if self._inbox is None:
            return False
        return len(self._inbox) >= self._max_inbox_messages or self._inbox_size >= self._max_inbox_size

    def has_messages(self) -> bool:
        """Tell whether messages wait in the inbox."""
        return self._inbox is not None

    def discard_inbox(self) -> None:
        """Forget the messages that the service will not be told of."""
        self._inbox = None
        self._inbox_size = 0
        self.resume_reading()

    def pause_reading(self) -> None:
        """Leave what arrives in the kernel, which will slow the peer down. The idle clock stands still."""
        if self._paused_at is None and self._reader is not None:
            self._paused_at = monotonic()
            self._reader.stop()

    def resume_reading(self) -> None:
        """Read again after ``pause_reading``."""
        if self._paused_at is not None and self._reader is not None:
            paused = monotonic() - self._paused_at
            self._heard_at += paused
            if self._pinged_at is not None:
                self._pinged_at += paused
            self._paused_at = None
            self._start_reader()

    # The service (in a worker)

    def go_to_work(self) -> None:
        """Let the greenlet that waits in ``receive``, or a worker, do what there is to do. In the hub."""
        if self._receiver is not None and (self._inbox or self._has_news or not self.active):
            receiver, self._receiver = self._receiver, None
            self._loop.resume(receiver)
        if not self._working and (self._inbox or self._has_news):
            self._working = True
            self._loop.lend(self)

    def work(self) -> None:
        """Tell the service all there is to tell. Raises nothing: ``failed`` sees to it."""
        while True:
            try:
                if self._inbox and self._greeted:
                    self.service.received(self.next_message(), self)
                elif self._has_news:
                    self.step()
                else:
                    break
            except BaseException as error:
                self.failed(error)
        self._working = False

    def next_message(self) -> str | bytes:
        """Take the first message out of the inbox, which is not empty; read on when there is room again."""
        assert self._inbox
        message = self._inbox.popleft()
        self._inbox_size -= storage(message)
        if not self._inbox:
            # An idle connection keeps no empty deque, which would be 600 bytes.
            self._inbox = None
        if self._paused_at is not None and not self._inbox_is_full():
            self.inbox_has_room()
        return message

    # Sending

    def send(self, message: Message, as_binary: bool | None = None, compress: bool | None = None) -> bool:
        """Send a message (Kitura: ``send(message:asBinary:)``).

        ``message`` is sent as text if it is a ``str``, else as binary; ``as_binary`` overrides this
        (text must then be valid UTF-8). Returns ``True`` when the message was taken, ``False`` when
        the connection is no longer open. Blocks while ``max_send_buffer`` bytes wait for the peer;
        in the hub itself, which cannot wait, such a connection is ended with 1013 instead.

        Where compression was negotiated, ``compress`` overrides the threshold of the service.

        Raises ``TypeError`` for another type and ``ValueError`` for text that is not UTF-8.
        """
        opcode, payload = encode_message(message, as_binary)
        if self._endpoint.output_size >= self._max_send_buffer or self._loop.is_foreign_thread():
            return self.send_later(opcode, payload, compress)
        return self.send_now(opcode, payload, compress)

    def send_broadcast(self, message: Broadcast) -> bool:
        """Send a message that goes to many connections, without ever waiting (see ``broadcast``)."""
        if self._endpoint.output_size >= self._max_send_buffer or self._loop.is_foreign_thread():
            return self.send_broadcast_later(message)
        if not self.active:
            return False
        self._endpoint.send_encoded(message.frame_for(self._endpoint.deflate))
        self.cork()
        return True

    def send_now(self, opcode: int, payload: bytes, compress: bool | None = None) -> bool:
        """Send without regard to the limit; ``False`` if the connection is no longer open."""
        if not self.active:
            return False
        self._endpoint.send(opcode, payload, compress)
        self.cork()
        return True

    def cork(self) -> None:
        """Let the output leave when the running batch ends or blocks, with all that is added until then."""
        if not self._corked:
            self._corked = True
            self._loop.cork(self)

    def pong(self, payload: bytes) -> None:
        """Answer a ping; while the peer takes nothing, only its latest ping is answered (RFC 6455, 5.5.3)."""
        if self._writer is not None:
            self._pong = payload
        else:
            self._endpoint.pong(payload)
            self.cork()

    def flush(self) -> None:
        """Offer the output to the socket; what it does not take waits for a write watcher. Never raises."""
        self._corked = False
        if self._transport.fileno() < 0:
            return
        try:
            self._send_output()
        except BaseException as error:
            self.crashed(error)

    def _send_output(self) -> None:
        endpoint, transport = self._endpoint, self._transport
        while endpoint.output_size or transport.pending:
            sent = transport.send(endpoint.output)
            if sent:
                endpoint.sent(sent)
                if self._writer is not None:
                    self._stuck_since = monotonic()
            if transport.pending or (endpoint.output_size and not sent):
                self._wait_until_writable()
                break
            if not endpoint.output_size and self._pong is not None:
                endpoint.pong(self._pong)
                self._pong = None
        if self._writer is not None and not (endpoint.output_size or transport.pending):
            self._stop_writer()
            if self._pinged_at is not None:
                self._pinged_at = monotonic()  # the ping was behind what has only now left
        if self._watches_output:
            self.output_left()

    def _wait_until_writable(self) -> None:
        if self._writer is None:
            self._stuck_since = monotonic()
            self._writer = self._loop.hub.loop.io(self._transport.fileno(), WRITE)
            self._writer.start(self._writable)

    def _writable(self) -> None:
        self.flush()
        try:
            self._loop.flush()
        except BaseException as error:
            self.crashed(error)

    def _stop_writer(self) -> None:
        writer, self._writer = self._writer, None
        writer.stop()
        writer.close()

    # The end

    def release(self) -> None:
        """Give up the watchers and close the descriptor, in this order. Idempotent."""
        if self._writer is not None:
            self._stop_writer()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
            reader.close()
        self._transport.close()
