"""Blocking-style reads and writes over a transport, for the greenlet of one HTTP connection."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from gevent import get_hub, getcurrent
from gevent.hub import Waiter

from geventkws.transport import Chunk, Transport

READ = 1
WRITE = 2
READ_SIZE = 64 * 1024
DRAIN_LIMIT = 1024 * 1024


class Stream:
    """One greenlet's view of a transport: it waits in the hub where the transport would block.

    ``deadline`` (by ``now``, ``None`` = never) bounds every wait. It is enforced by ``expire``,
    which the server's sweep calls, so that setting it costs nothing. A wait that is ended looks at the
    socket once more: what arrived while the hub was busy is not too late.
    """

    __slots__ = (
        "_hub",
        "_reader",
        "_waiter",
        "_writer",
        "deadline",
        "greenlet",
        "hurried",
        "idle",
        "transport",
    )

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.greenlet: Any = getcurrent()
        """The greenlet that the stream belongs to."""
        self.idle = True
        """Whether no request is under way; kept by whoever reads the requests."""
        self.hurried = False
        """Whether the connection is to end with the request under way."""
        self.deadline: float | None = None
        self._hub = get_hub()
        self._reader: Any = None
        self._writer: Any = None
        self._waiter: Any = None

    def now(self) -> float:
        """Return the clock of ``deadline``, in seconds."""
        return monotonic()

    def set_deadline(self, seconds: float | None) -> None:
        """Let waits end ``seconds`` from now with a ``TimeoutError``; ``None`` for never."""
        self.deadline = None if seconds is None else self.now() + seconds

    def recv(self, size: int = READ_SIZE) -> bytes:
        """Read up to ``size`` bytes; ``b""`` at the peer's end.

        Raises ``TimeoutError`` after the deadline and ``OSError`` when the connection is lost.
        """
        while (data := self.transport.recv(size)) is None:
            self.wait_until_readable()
        return data

    def sendall(self, chunks: Sequence[Chunk]) -> None:
        """Write all of ``chunks``, in one ``send`` where the socket takes them.

        Raises ``TimeoutError`` after the deadline and ``OSError`` when the connection is lost.
        """
        chunks = [chunk for chunk in chunks if len(chunk)]
        transport = self.transport
        while chunks or transport.pending:
            sent = transport.send(chunks)
            chunks = unsent(chunks, sent)
            if transport.pending or (chunks and not sent):
                self.wait_until_writable()

    def wait_until_readable(self) -> None:
        """Wait for bytes, or the end; raises ``TimeoutError`` after the deadline."""
        if self._reader is None:
            self._reader = self._hub.loop.io(self.transport.fileno(), READ)
        self._wait(self._reader)

    def wait_until_writable(self) -> None:
        """Wait for room; raises ``TimeoutError`` after the deadline."""
        if self._writer is None:
            self._writer = self._hub.loop.io(self.transport.fileno(), WRITE)
        self._wait(self._writer)

    def _wait(self, watcher: Any) -> None:
        if self.deadline is not None and self.now() >= self.deadline:
            raise TimeoutError("the peer took too long")
        if self.hurried and self.idle:
            raise TimeoutError("the server stops")
        waiter: Waiter[None] = Waiter(self._hub)
        self._waiter = waiter
        watcher.start(waiter.switch, None)
        try:
            waiter.get()
        finally:
            self._waiter = None
            watcher.stop()

    def expire(self, now: float) -> None:
        """End the wait under way, if any, when the deadline has passed. In the hub only."""
        if self.deadline is not None and now >= self.deadline and self._waiter is not None:
            self._waiter.switch(None)

    def hurry(self) -> None:
        """End the wait for a next request; one that is under way will be the last. In the hub only."""
        self.hurried = True
        if self.idle and self._waiter is not None:
            self._waiter.switch(None)

    def detach(self) -> Transport:
        """Give up the watchers and hand the transport on, open."""
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.close()
        self._reader = self._writer = None
        return self.transport

    def abort(self) -> None:
        """Close the connection with a reset: the peer sees that what it got is not all."""
        self.detach().abort()

    def close(self, timeout: float | None = None) -> None:
        """Close the connection; first half-close it and drain what arrives for ``timeout`` seconds.

        Without the drain, a reset by unread bytes can destroy an answer on its way to the peer
        (RFC 9112, 9.6). Never raises ``OSError``.
        """
        try:
            if timeout is not None:
                self.set_deadline(timeout)
                self.transport.shutdown_write()
                drained = 0
                while drained < DRAIN_LIMIT and (data := self.recv()):
                    drained += len(data)
        except OSError:  # TimeoutError is one
            pass
        finally:
            self.detach().close()


def unsent(chunks: Sequence[Chunk], sent: int) -> list[Chunk]:
    """Return what is left of ``chunks`` after their first ``sent`` bytes have gone."""
    for index, chunk in enumerate(chunks):
        if sent < len(chunk):
            return [memoryview(chunk)[sent:] if sent else chunk, *chunks[index + 1 :]]
        sent -= len(chunk)
    return []
