"""A transport in memory: what the peer sends is known, what it gets is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from geventkws.http.head import RequestHead
from geventkws.http.reader import RequestReader
from geventkws.http.stream import Stream
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
        return -1

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

    def shutdown_write(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class MemoryChannel:
    """What a ``Stream`` needs of a channel, over a transport in memory: all that is sent leaves at once."""

    loop: Any = SimpleNamespace(take_turn=lambda: None)
    awaits_room = False
    pending = False

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.owner: Any = None

    def recv(self) -> bytes | None:
        return self.transport.recv(65536)

    def send(self, chunks: Sequence[Chunk]) -> int:
        return self.transport.send(chunks)

    def cork(self) -> None:
        with suppress(OSError):
            self.owner._offer()


def stream_on(transport: MemoryTransport) -> Stream:
    """Return a stream whose bytes come from a transport in memory, and go there."""
    channel: Any = MemoryChannel(transport)
    channel.owner = Stream(channel)
    stream: Stream = channel.owner
    return stream


def head_of(data: bytes) -> RequestHead:
    """Return the head that ``data`` is."""
    reader = RequestReader()
    reader.feed(data)
    head = reader.head()
    assert head is not None
    return head
