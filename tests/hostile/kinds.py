"""The floods: what each kind of attacker sends endlessly once it is connected.

Neither this module nor the clients that use it import the package: what they send does not come from the code
under test.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice, repeat, zip_longest

HOST = "127.0.0.1"
MASK = b"mask"
LONG = 256 * 1024
"""The approximate size in bytes of a buffer that is sent repeatedly, so that few calls send much."""
MAX_FRAGMENTS = 131_072
"""The most frames that the server allows in a message by default."""
TEXT, BINARY, CONTINUATION, PING, PONG = 0x1, 0x2, 0x0, 0x9, 0xA
FIN, RSV1 = 0x80, 0x40


@dataclass(frozen=True)
class Piece:
    """Bytes that are sent this many times, one after the other."""

    data: bytes
    times: int = 1


@dataclass(frozen=True)
class Kind:
    """What one connection of a flood sends: ``opening`` once, then all ``pieces`` in turn, endlessly."""

    name: str
    about: str
    pieces: tuple[Piece, ...]
    opening: bytes = b""
    path: str = ""
    """The path of a WebSocket to open first; without one, the connection speaks HTTP."""
    deflated: bool = False
    rate: int | None = None
    """The most bytes per second that all connections of the flood send together."""

    def script(self) -> Iterator[memoryview]:
        """Yield everything that a connection sends."""
        if self.opening:
            yield memoryview(self.opening)
        for piece in cycle(self.pieces):
            yield from repeat(memoryview(piece.data), piece.times)


def frame(head: int, payload: bytes = b"") -> bytes:
    """Return a client's frame with at most 125 bytes; ``head`` is its first byte."""
    masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))
    return bytes((head, 0x80 | len(payload))) + MASK + masked


def endless(data: bytes) -> tuple[Piece]:
    """Return ``data``, repeated for ever in long buffers."""
    return (Piece(data * (LONG // len(data) or 1)),)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def post_of_chunks(path: str) -> bytes:
    """Return a request whose body has 200,000 chunks of one byte each."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"1\r\nX\r\n" * 200_000 + b"0\r\n\r\n"


def post_of_length(path: str, length: int) -> tuple[Piece, ...]:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()
    block = b"X" * 200_000
    return (Piece(head), Piece(block, length // len(block)))


def message_of_fragments() -> bytes:
    """Return an empty text message of as many frames as the server accepts."""
    return frame(TEXT) + frame(CONTINUATION) * (MAX_FRAGMENTS - 2) + frame(FIN | CONTINUATION)


def deflated(text: bytes) -> bytes:
    """Return a compressed message that refers to no earlier one (RFC 7692, 7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(FIN | RSV1 | TEXT, data.removesuffix(b"\x00\x00\xff\xff"))


UNREAD = (Piece(post_of_chunks("/unread")),)
READ = (Piece(post_of_chunks("/read")),)

_ALL = (
    Kind("gets", "GET, pipelined", endless(get("/"))),
    Kind("gets-of-1ms", "the same, where each takes 1 ms of CPU", endless(get("/burn"))),
    Kind("posts-unread", "bodies of 200,000 chunks of 1 byte, which nobody reads", UNREAD),
    Kind("posts-unread-1M", "the same, 1 MB/s in all", UNREAD, rate=1_000_000),
    Kind("posts-unread-4M", "the same, 4 MB/s in all", UNREAD, rate=4_000_000),
    Kind("posts-read", "bodies of 200,000 chunks of 1 byte, read by one read()", READ),
    Kind("posts-read-1M", "the same, 1 MB/s in all", READ, rate=1_000_000),
    Kind("posts-read-4M", "the same, 4 MB/s in all", READ, rate=4_000_000),
    Kind("body", "a body of 800 MB, read 8 KiB at a time", post_of_length("/read-blocks", 800_000_000)),
    Kind("answers", "answers of 300,000 blocks of 100 bytes, read fast", endless(get("/blocks"))),
    Kind("fragments", "empty fragments, 131,072 a message", (Piece(message_of_fragments()),), path="/sink"),
    Kind("pongs", "pongs that nobody asked for", endless(frame(FIN | PONG)), path="/sink"),
    Kind(
        "pings",
        "pings within a message that does not end",
        endless(frame(FIN | PING)),
        opening=frame(TEXT, b"x"),
        path="/sink",
    ),
    Kind("empties", "empty binary messages, 6 bytes each", endless(frame(FIN | BINARY)), path="/sink"),
    Kind(
        "deflated",
        "small compressed messages",
        endless(deflated(b"a small message")),
        path="/deflated-sink",
        deflated=True,
    ),
)
KINDS = {kind.name: kind for kind in _ALL}
MIXED = "mixed"
"""All kinds without a rate at once, HTTP and WebSockets in turn."""
UNFAIR = Kind(
    "unfair",
    "a GET that burns 2 s in one call, and then hardly anything",
    endless(get("/")),
    opening=get("/unfair"),
    rate=20_000,
)
"""What no server can treat fairly; it shows that the judge can find a server guilty."""


def of_connections(name: str, count: int) -> list[Kind]:
    """Return the kind of each of the ``count`` connections of the flood ``name``."""
    if name == UNFAIR.name:
        kinds = [UNFAIR]
    elif name == MIXED:
        kinds = _mix()
    else:
        kinds = [KINDS[name]]
    return list(islice(cycle(kinds), count))


def _mix() -> list[Kind]:
    unlimited = [kind for kind in _ALL if kind.rate is None]
    http = [kind for kind in unlimited if not kind.path]
    websockets = [kind for kind in unlimited if kind.path]
    return [kind for pair in zip_longest(http, websockets) for kind in pair if kind is not None]
