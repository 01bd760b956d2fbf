"""Blocking-style reads and writes of one HTTP connection, for the greenlet that answers its request."""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from time import monotonic
from typing import Any

from gevent.hub import Waiter

from geventkws.backend import use_compiled
from geventkws.loop.channel import Channel
from geventkws.net.transport import Chunk

MAX_OUTPUT = 64 * 1024
"""Bytes of complete responses that are collected before they are offered to the socket."""

NEVER = math.inf
"""The deadline of waits that may last forever."""


NOTHING = 0
"""``Stream.awaited``: nothing, because the greenlet is working."""

CHUNK = 1
"""``Stream.awaited``: the next part of a response."""

OPEN_END = 2
"""``Stream.awaited``: the next part of a response that has begun and whose length nobody knows."""


class Stream:
    """A channel as a greenlet uses it: it waits where the socket would block, and when its turn is over.

    ``deadline`` (by ``time.monotonic``) bounds every wait. The server's clock enforces it, with ``wake``, so
    setting it costs nothing. A wait that is ended looks at the socket once more: what has arrived while the
    hub was busy is not too late.
    """

    __slots__ = (
        "answer_by",
        "awaited",
        "channel",
        "deadline",
        "ended",
        "greenlet",
        "hurried",
        "is_given",
        "output",
        "output_size",
        "receiver",
        "sender",
        "streams_since",
        "stuck_since",
    )

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.deadline = NEVER
        self.answer_by = NEVER
        """When the head of a response has to be sent, by ``time.monotonic``."""
        self.greenlet: Any = None
        """The greenlet, once it has blocked."""
        self.awaited = NOTHING
        """What the greenlet waits for the application to produce."""
        self.streams_since = 0.0
        """When the response that is being sent part by part began, by ``time.monotonic``."""
        self.hurried = False
        """Whether the connection is to end after the current request."""
        self.ended = False
        """Whether the peer has ended its stream."""
        self.is_given = False
        """Whether the channel has another owner, which alone may send."""
        self.output_size = 0
        """Bytes waiting to be sent."""
        self.output: list[Chunk] = []
        self.stuck_since = 0.0
        """When the peer stopped taking the output, by ``time.monotonic``."""
        self.receiver: Any = None
        """The waiter of the greenlet that waits for bytes."""
        self.sender: Any = None
        """The waiter of the greenlet that waits for room, which may be another greenlet."""

    def set_deadline(self, seconds: float | None) -> None:
        """Let waits end with a ``TimeoutError`` after ``seconds`` from now; ``None``: never."""
        self.deadline = NEVER if seconds is None else monotonic() + seconds

    def take_turn(self) -> None:
        """Let other connections have their turn if this one's is over."""
        self.channel.loop.take_turn()

    def recv(self) -> bytes:
        """Return bytes from the peer; ``b""`` at the end of the stream.

        Raises ``TimeoutError`` after the deadline and ``OSError`` when the connection is lost.
        """
        while not self.ended:
            data = self.channel.recv()
            if data is None:
                self.channel.resume()
                self._wait(reads=True)
                continue
            if not data:
                self.ended = True
            return data
        return b""

    def forget_output(self) -> None:
        """Discard the waiting output: the connection is lost."""
        self.output = []
        self.output_size = 0

    def send_soon(self, chunk: bytes) -> None:
        """Send ``chunk``, the end of a response, with whatever else is sent in this turn, without waiting."""
        self.output.append(chunk)
        self.output_size += len(chunk)
        self.channel.cork()

    def sendall(self, chunks: Sequence[Chunk]) -> None:
        """Send all of ``chunks``, at once and in one ``send`` if the socket takes them.

        Raises ``TimeoutError`` after the deadline and ``OSError`` when the connection is lost.
        """
        self.take_turn()
        for chunk in chunks:
            if chunk:
                self.output.append(chunk)
                self.output_size += len(chunk)
        self.drain()

    def drain(self) -> None:
        """Wait until all output has left. Raises what ``sendall`` raises."""
        self.offer()
        while self.channel.awaits_room:
            self._wait(reads=False)
            self.offer()

    def wait_until_writable(self) -> None:
        """Wait until the socket reports room. Raises what ``sendall`` raises."""
        self.channel.await_room()
        self._wait(reads=False)

    def offer(self, last: bool = False) -> None:
        """Offer the output to the socket; ``channel.awaits_room`` then says whether some of it is left.

        ``last`` says that the connection is closed as soon as all has left.
        """
        channel = self.channel
        while self.output or channel.is_pending():
            sent = channel.send_last(self.output) if last else channel.send(self.output)
            self.output_size -= sent
            self.output = unsent(self.output, sent) if self.output_size else []
            if channel.is_pending() or (self.output and not sent):
                if not channel.awaits_room:
                    self.stuck_since = monotonic()
                    channel.await_room()
                return
        if channel.awaits_room:
            channel.has_room()

    def _wait(self, reads: bool) -> None:
        """Wait until the hub has something to read, or room to write."""
        if monotonic() >= self.deadline:
            raise TimeoutError("the peer took too long")
        waiter: Waiter[None] = Waiter(self.channel.loop.hub)
        if reads:
            self.receiver = waiter
        else:
            self.sender = waiter
        try:
            waiter.get()
        finally:
            if self.receiver is waiter:
                self.receiver = None
            elif self.sender is waiter:
                self.sender = None
        if not self.channel.is_open:
            raise ConnectionAbortedError(errno.ECONNABORTED, "the connection was lost meanwhile")

    def wake(self) -> None:
        """Let waiting greenlets, if there are any, look again. In the hub."""
        self.wake_receiver()
        self.wake_sender()

    def wake_receiver(self) -> None:
        """Let the greenlet that waits for bytes, if there is one, look again. In the hub."""
        waiter, self.receiver = self.receiver, None
        if waiter is not None:
            self.channel.loop.resume(waiter)

    def wake_sender(self) -> None:
        """Let the greenlet that waits for room, if there is one, look again. In the hub."""
        waiter, self.sender = self.sender, None
        if waiter is not None:
            self.channel.loop.resume(waiter)


def unsent(chunks: Sequence[Chunk], sent: int) -> list[Chunk]:
    """Return what is left of ``chunks`` without their first ``sent`` bytes."""
    for index, chunk in enumerate(chunks):
        if sent < len(chunk):
            return [memoryview(chunk)[sent:] if sent else chunk, *chunks[index + 1 :]]
        sent -= len(chunk)
    return []


use_compiled(__name__, globals())
