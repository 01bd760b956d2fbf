"""The chunked coding by itself, in both forms and however the reads cut it."""

from __future__ import annotations

from typing import Any

import pytest

from geventkws.http.chunked import MAX_LINE, MAX_OVERHEAD
from geventkws.http.errors import HTTPError
from tests.helpers import Feed, forms

FORMS = forms("geventkws.http.chunked")
BODY = b"4;name=value\r\nWiki\r\n5\r\npedia\r\n0\r\nTrailer: x\r\n\r\n"


@pytest.fixture(params=FORMS)
def decoder(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param].ChunkedDecoder()


def decode(decoder: Any, data: bytes, position: int = 0, limit: int = 65536) -> tuple[bytes, int]:
    """Return all pieces of the body in ``data``, joined, and the position behind them."""
    body = b""
    while True:
        piece, position = decoder.decode(data, position, limit)
        body += piece
        if not piece:
            return body, position


def test_extensions_and_trailers_are_dropped_and_what_follows_is_left(decoder: Any) -> None:
    assert decode(decoder, BODY + b"GET") == (b"Wikipedia", len(BODY))
    assert decoder.done
    assert decode(decoder, b"GET") == (b"", 0)


def test_it_does_not_matter_how_it_is_cut(decoder: Any, chunked: Feed) -> None:
    body = left = b""
    for read in chunked(BODY):
        assert not decoder.done
        left += read
        piece, position = decode(decoder, left)
        body += piece
        left = left[position:]
    assert (body, left, decoder.done) == (b"Wikipedia", b"", True)


def test_a_piece_is_no_longer_than_the_limit(decoder: Any) -> None:
    assert decoder.decode(BODY, 0, 3) == (b"Wik", 17)
    assert decoder.decode(BODY, 17, 3) == (b"i", 18)


MALFORMED = {
    "no size": b"\r\n",
    "no hexadecimal size": b"0x4\r\n",
    "a signed size": b"+4\r\n",
    "a size of 17 digits": b"0" * 16 + b"4\r\n",
    "space before the size": b" 4\r\n",
    "space behind the size": b"4 \r\n",
    "an extension with a control character": b"4;a\x00\r\n",
    "a bare LF behind the size": b"4\nWiki\r\n",
    "a chunk longer than its size": b"4\r\nWikipedia\r\n",
    "a chunk that ends in LF": b"4\r\nWiki\n0\r\n\r\n",
    "a trailer without a colon": b"0\r\nTrailer\r\n\r\n",
    "a trailer whose name has a space": b"0\r\nTrail er: x\r\n\r\n",
    "a line without end": b"4;" + b"a" * MAX_LINE,
    "too many extensions": (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * (MAX_OVERHEAD // 1000 + 1),
    "too many trailers": b"0\r\n" + (b"A: " + b"a" * 1000 + b"\r\n") * (MAX_OVERHEAD // 1000 + 1),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused_with_400(decoder: Any, data: bytes) -> None:
    with pytest.raises(HTTPError) as caught:
        decode(decoder, data)
    assert caught.value.status == 400


def test_a_body_may_have_overhead_up_to_the_limit(decoder: Any) -> None:
    extension = b";" + b"a" * (MAX_OVERHEAD // 8 - 1)
    data = (b"1" + extension + b"\r\nx\r\n") * 8 + b"0\r\n\r\n"
    assert decode(decoder, data) == (b"x" * 8, len(data))
