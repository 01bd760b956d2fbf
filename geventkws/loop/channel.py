r"""A channel moves the bytes of one connection; its owner gives them meaning.

::

    HTTPConnection      WebSocketConnection      ...        the owner, one at a time
           \                  /
                 Channel                                    watchers, turns, corking
                    |
            PlainTransport | TLSTransport                   the descriptor

A connection is these two objects for its whole life: an upgrade changes the owner, but neither the descriptor
nor its watchers. Everything that the channel asks of its owner is in ``roles.Owner``.
"""

from __future__ import annotations

from typing import Any

from geventkws.backend import use_compiled
from geventkws.loop import leaf, roles
from geventkws.loop.loop import CROWDED_READ, Loop
from geventkws.net.transport import Chunk, Transport

READ = 1
WRITE = 2

BYTES_READ = 64 * 1024
"""The most bytes that ``recv`` returns."""


class Channel(roles.Corked):
    """A transport, its watchers and an owner. The read watcher's callback is the channel itself."""

    __slots__ = (
        "_corked",
        "_fd",
        "_is_muted",
        "_is_readable",
        "_reader",
        "_writer",
        "awaits_room",
        "is_new",
        "is_open",
        "is_queued",
        "loop",
        "owner",
        "paused_at",
        "transport",
    )

    def __init__(self, loop: Loop, transport: Transport) -> None:
        self.loop = loop
        self.transport = transport
        self.owner: roles.Owner
        """Who gives the bytes a meaning, to be set before ``begin_reading``."""
        self.paused_at: float | None = None
        """When reading was paused, by ``time.monotonic``; ``None`` while the channel reads."""
        self.awaits_room = False
        """Whether the owner flushes when the socket has room again."""
        self.is_open = True
        """Whether the descriptor is open."""
        self.is_queued = False
        """Whether the connection is waiting for its turn."""
        self.is_new = True
        """Whether the client has had no answer yet, or no more than its handshake. The owner ends this."""
        self._fd = transport.fileno()
        self._reader: Any = None
        self._writer: Any = None
        self._corked = False
        self._is_readable = False  # whether it became readable while waiting for its turn
        self._is_muted = False  # whether its descriptor is not watched until then

    def use(self, transport: Transport) -> None:
        """Move bytes through ``transport``, on the same descriptor, from now on."""
        self.transport = transport

    def detach(self) -> None:
        """Let go of the descriptor, which another has from now on. Until ``attach``, nothing is moved."""
        self._stop_watching()
        self._fd = -1

    def attach(self, transport: Transport) -> None:
        """Move bytes again, by ``transport``, and watch its descriptor."""
        self.transport = transport
        self._fd = transport.fileno()
        self.paused_at = None
        self.start_reading()

    # Reading

    def begin_reading(self) -> None:
        """Receive what has come with the connection, unless others wait for a turn; then ``start_reading``.

        A client that is answered and closed at once never needs a watcher.
        """
        if self.loop.is_at_leisure():
            self()
        if self._reader is None and self.is_reading:
            self.start_reading()

    def start_reading(self) -> None:
        """Watch the descriptor, from now until ``pause``, ``detach`` or ``release``."""
        if self._reader is None:
            self._reader = self.loop.hub.loop.io(self._fd, READ)
        if self.loop.stops_at_errors:
            self._reader.start(self, pass_events=True)
        else:
            self._reader.start(self)

    def pause(self) -> None:
        """Leave what arrives in the kernel, which will slow the peer down."""
        if self.is_reading:
            self.paused_at = leaf.monotonic()
            if self._reader is not None:
                self._reader.stop()

    def resume(self) -> None:
        """Read again after ``pause``."""
        if self.paused_at is not None and self._fd >= 0:
            self.paused_at = None
            self.start_reading()

    def __call__(self, events: int = READ) -> None:
        """Let the owner receive what has arrived: the read watcher's callback. Never raises.

        ``events`` is negative if libuv has seen an error, after which it stops watching.
        """
        loop = self.loop
        if self.is_queued or not (loop.begin_turn() or events < 0):
            if self._is_readable or events < 0:
                self._mute()
            self._is_readable = True
            self.queue(fresh=True)
            return
        corking, loop.corking = loop.corking, True
        owner = self.owner  # a compiled call does not keep its object alive, and the owner may change in it
        try:
            received = owner._readable()
            if events < 0:
                self._receive_before_error(received)
            if not self.is_queued:  # else the loop flushes, after all turns of the slice
                loop.flush()
        except BaseException as error:
            # libev would stop the watcher, and libuv would throw into the main greenlet.
            self.owner._crashed(error)
        finally:
            loop.corking = corking
            loop.end_turn()

    def _mute(self) -> None:
        """Watch no more until the connection's turn has come.

        Else, where thousands wait, each poll would take its time to report all of them again.
        """
        if self._reader is not None:
            self._is_muted = True
            self._reader.stop()

    def _receive_before_error(self, received: bool) -> None:
        """Keep receiving until the error itself arrives. If there is none, watch again."""
        while received and self.is_reading and not self.is_queued:
            owner = self.owner
            received = owner._readable()
        self._restart_reader()

    def _restart_reader(self) -> None:
        if self.is_reading:
            self._reader.stop()
            self.start_reading()

    @property
    def is_reading(self) -> bool:
        """Whether the owner is told of what arrives."""
        return self._fd >= 0 and self.paused_at is None

    def receive(self, size: int) -> int:
        """Receive up to ``size`` bytes into the loop's buffer; return what ``Buffer.receive`` does.

        Raises ``OSError`` when the connection is lost.
        """
        return self.loop.buffer.receive(self.transport, self._fd, size)

    def recv(self) -> bytes | None:
        """Return up to ``BYTES_READ`` bytes, ``b""`` at the end of the stream, ``None`` if nothing is there.

        Raises ``OSError`` when the connection is lost.
        """
        loop = self.loop
        size = BYTES_READ
        if loop.is_crowded() and not self.transport.secure:
            size = CROWDED_READ
        if self.receive(size) < 0:
            return None
        return loop.buffer.copy()

    # Turns

    def queue(self, fresh: bool = False) -> None:
        """Let the owner proceed when it is this connection's turn."""
        if not self.is_queued:
            self.is_queued = True
            self.loop.queue(self, fresh, self.is_new)

    def proceed(self) -> None:
        """Let the owner proceed: the connection's turn has come. Never raises."""
        self.is_queued = False
        loop = self.loop
        corking, loop.corking = loop.corking, True
        owner = self.owner
        try:
            owner._proceed()
            if self._is_readable and self.is_reading and not self.is_queued:
                owner = self.owner
                owner._readable()
            self._is_readable = False
            if not self.is_queued:
                loop.flush()
        except BaseException as error:
            self.owner._crashed(error)
        finally:
            loop.corking = corking
            if self._is_muted and not self.is_queued:
                self._is_muted = False
                self._restart_reader()

    # Sending

    def cork(self) -> None:
        """Send the output, and whatever is added to it until then, when the running batch ends or blocks."""
        if not self._corked:
            self._corked = True
            self.loop.cork(self)

    def flush(self) -> None:
        """Let the owner offer its output to the socket. Never raises."""
        self._corked = False
        if self.is_open:
            owner = self.owner
            try:
                owner._flush()
            except BaseException as error:
                self.owner._crashed(error)

    def send(self, chunks: list[Chunk]) -> int:
        """Write as much of ``chunks`` as the socket takes now; return how many bytes that was.

        Raises ``OSError`` when the connection is lost.
        """
        return leaf.send(self.transport, self._fd, chunks)

    def send_last(self, chunks: list[Chunk]) -> int:
        """Do what ``send`` does with the last bytes: as soon as they have left, the owner closes."""
        return leaf.send_last(self.transport, self._fd, chunks)

    def is_pending(self) -> bool:
        """Return whether ``send`` must be called again: it has taken bytes that the socket has not."""
        return leaf.is_pending(self.transport)

    def await_room(self) -> None:
        """Let the owner flush when the socket has room again. Idempotent."""
        if self._writer is None:
            self._writer = self.loop.hub.loop.io(self._fd, WRITE)
            self._writer.start(self._writable)
            self.awaits_room = True

    def has_room(self) -> None:
        """End what ``await_room`` began. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            self.awaits_room = False
            writer.stop()
            writer.close()

    def _writable(self) -> None:
        self.flush()
        try:
            self.loop.flush()
        except BaseException as error:
            self.owner._crashed(error)

    # The end

    def release(self, reset: bool = False) -> None:
        """Close the watchers and then the descriptor. Idempotent.

        With ``reset``, the connection is reset, so that the peer sees that something is missing.
        """
        self._stop_watching()
        self._fd = -1
        self.is_open = False
        if reset:
            self.transport.abort()
        else:
            self.transport.close()

    def _stop_watching(self) -> None:
        self.has_room()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
            reader.close()


use_compiled(__name__, globals())
