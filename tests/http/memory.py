"""A transport in memory: what the peer sends is given, and what it receives is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache

import gevent

from geventkws.http.head import RequestHead
from geventkws.http.reader import RequestReader
from geventkws.http.stream import Stream
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.loop.roles import Corked, Owner
from geventkws.net.transport import Chunk


class MemoryTransport:
    secure = False
    pending = False

    def __init__(self, reads: Iterable[bytes] = (), refuses: bool = False) -> None:
        self.reads = list(reads)
        self.writes: list[bytes] = []
        self.refuses = refuses

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def fileno(self) -> int:
        return 1_000_000  # open, but not a descriptor of the process

    def recv(self, size: int) -> bytes | None:
        return self.reads.pop(0) if self.reads else b""

    def recv_into(self, buffer: memoryview) -> int | None:
        data = self.recv(len(buffer)) or b""
        buffer[: len(data)] = data
        return len(data)

    def send(self, chunks: Sequence[Chunk]) -> int:
        if self.refuses:
            raise BrokenPipeError("the peer is gone")
        self.writes.append(b"".join(chunks))
        return len(self.writes[-1])

    def environ(self) -> dict[str, object]:
        return {}

    def probe(self) -> None:
        pass

    def is_gone(self) -> bool:
        return False

    def shutdown_write(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class PatientLoop(Loop):
    """A loop in which a turn never ends, because there are no others, and output leaves at once."""

    def take_turn(self) -> None:
        pass

    def cork(self, corked: Corked) -> None:
        corked.flush()


@cache
def patient_loop() -> PatientLoop:
    return PatientLoop(gevent.get_hub())


class _Owner(Owner):
    """An owner whose output leaves at once; when the peer is gone, nobody is told."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def _flush(self) -> None:
        with suppress(OSError):
            self._stream.offer()


def stream_on(transport: MemoryTransport) -> Stream:
    """Return a stream that reads from and writes to a transport in memory."""
    channel = Channel(patient_loop(), transport)
    stream = Stream(channel)
    channel.owner = _Owner(stream)
    return stream


def head_of(data: bytes) -> RequestHead:
    """Return the request head in ``data``."""
    reader = RequestReader()
    reader.feed(data)
    head = reader.head()
    assert head is not None
    return head
