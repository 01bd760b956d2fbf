"""Chunked bodies: the same body, or a refusal, however they are cut and however much is taken at once."""

from __future__ import annotations

from collections.abc import Iterable

from fuzzing.inputs import Input, cut
from geventkws.http.chunked import ChunkedDecoder
from geventkws.http.errors import HTTPError

SEEDS = (
    b"\3" + cut(b"5\r\nhello\r\n0\r\n\r\nGET"),
    b"\0" + cut(b"a;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", 2),
    b"\2" + cut(b"ffffffffffffffff\r\n"),
)


def decode(pieces: Iterable[bytes], limit: int) -> tuple[bytes, bytes | None]:
    """Return the body, and what follows it; ``None`` if it has not ended or is malformed."""
    decoder, body, data = ChunkedDecoder(), b"", b""
    for piece in pieces:
        data += piece
        position = 0
        while not decoder.done:
            try:
                part, end = decoder.decode(data, position, limit)
            except HTTPError as error:
                if error.status != 400:
                    raise
                return body, None
            assert position <= end <= len(data)
            assert len(part) <= limit
            body += part
            if end == position and not part:
                break
            position = end
        data = data[position:]
    return body, data if decoder.done else None


def one_input(data: bytes) -> None:
    """Compare what is decoded whole and in pieces."""
    given = Input(data)
    limit = given.choose([1, 2, 100, 64 * 1024])
    cut = list(given.pieces())
    whole, in_pieces = decode([b"".join(cut)], 64 * 1024), decode(cut, limit)
    assert whole == in_pieces, (whole, in_pieces)
