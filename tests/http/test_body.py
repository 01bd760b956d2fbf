from __future__ import annotations

import pytest

from geventkws.http.body import MAX_DISCARDED, RequestBody, check_size
from geventkws.http.errors import HTTPError, RequestBodyError
from geventkws.http.reader import RequestReader
from tests.helpers import Feed
from tests.http.memory import MemoryTransport, head_of, stream_on

TEXT = b"first\nsecond line\n\nlast without end"
LENGTH = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
IN_CHUNKS = b"6\r\nfirst\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(TEXT) - 6, TEXT[6:])


def body_of(head: bytes, reads, max_size: int | None = None) -> tuple[RequestBody, MemoryTransport]:
    reader = RequestReader()
    reader.feed(head)
    parsed = reader.head()
    assert parsed is not None
    transport = MemoryTransport(reads)
    return RequestBody(parsed, reader, stream_on(transport), 5.0, max_size), transport


@pytest.fixture(params=["length", "chunked"])
def sent(request: pytest.FixtureRequest) -> tuple[bytes, bytes]:
    return (LENGTH % len(TEXT), TEXT) if request.param == "length" else (CHUNKED, IN_CHUNKS)


def test_a_body_is_read_whole(sent, chunked: Feed) -> None:
    body, _ = body_of(sent[0], chunked(sent[1]))
    stream = body.buffered()
    assert stream.read() == TEXT
    assert stream.read() == b""


def test_a_body_is_read_by_size(sent, chunked: Feed) -> None:
    stream = body_of(sent[0], chunked(sent[1]))[0].buffered()
    assert [stream.read(3), stream.read(0), stream.read(1000), stream.read(1)] == [
        TEXT[:3],
        b"",
        TEXT[3:],
        b"",
    ]


def test_a_body_is_read_by_line(sent, chunked: Feed) -> None:
    stream = body_of(sent[0], chunked(sent[1]))[0].buffered()
    assert stream.readline() == b"first\n"
    assert stream.readline(3) == b"sec"
    assert stream.readlines() == [b"ond line\n", b"\n", b"last without end"]


def test_a_body_is_iterated_by_line(sent, chunked: Feed) -> None:
    stream = body_of(sent[0], chunked(sent[1]))[0].buffered()
    assert list(stream) == TEXT.splitlines(keepends=True)


def test_what_follows_a_body_is_left_to_the_next_request(sent) -> None:
    body, _ = body_of(sent[0], [sent[1] + b"GET / HTTP/1.1\r\nHost: next\r\n\r\n"])
    assert body.buffered().read() == TEXT
    following = body._reader.head()
    assert following is not None
    assert following.headers == (("Host", "next"),)


@pytest.mark.parametrize("reads", [[], [b"abc"]])
def test_a_body_that_ends_early_raises_an_oserror_each_time(reads) -> None:
    stream = body_of(LENGTH % 10, reads)[0].buffered()
    for _ in range(2):
        with pytest.raises(RequestBodyError, match="ends early") as caught:
            stream.read()
        assert caught.value.status == 400


def test_a_malformed_chunk_raises_an_oserror() -> None:
    body, _ = body_of(CHUNKED, [b"zz\r\n"])
    with pytest.raises(RequestBodyError, match="malformed size"):
        body.buffered().read()
    assert not body.may_be_discarded()


def test_a_chunked_body_is_refused_where_it_passes_the_limit() -> None:
    with pytest.raises(RequestBodyError) as caught:
        body_of(CHUNKED, [IN_CHUNKS], max_size=len(TEXT) - 1)[0].buffered().read()
    assert caught.value.status == 413
    assert body_of(CHUNKED, [IN_CHUNKS], max_size=len(TEXT))[0].buffered().read() == TEXT


def test_a_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    check_size(head_of(LENGTH % 5), 5)
    check_size(head_of(LENGTH % 6), None)
    check_size(head_of(CHUNKED), 5)
    with pytest.raises(HTTPError) as caught:
        check_size(head_of(LENGTH % 6), 5)
    assert caught.value.status == 413


def test_continue_is_sent_when_the_body_is_first_read() -> None:
    expecting = (LENGTH % 6).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    body, transport = body_of(expecting, [b"abc", b"def"])
    assert not body.may_be_discarded()
    stream = body.buffered()
    assert transport.written == b""
    assert stream.read() == b"abcdef"
    assert transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_continue_is_not_sent_for_a_body_that_is_already_there() -> None:
    expecting = (LENGTH % 3).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    body, transport = body_of(expecting + b"abc", [])
    assert body.buffered().read() == b"abc"
    assert transport.written == b""


def test_what_was_not_read_is_discarded(sent, chunked: Feed) -> None:
    body, _ = body_of(sent[0], chunked(sent[1]))
    assert body.may_be_discarded()
    assert body.discard()
    assert body._reader.body_left == 0


def test_more_than_the_limit_is_not_discarded() -> None:
    assert not body_of(LENGTH % (MAX_DISCARDED + 1), [])[0].discard()
    piece = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    assert not body_of(CHUNKED, [piece] * 100)[0].discard()


def test_discarding_a_body_that_ends_early_fails() -> None:
    assert not body_of(LENGTH % 10, [b"abc"])[0].discard()
