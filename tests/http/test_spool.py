"""Chunked bodies read before the application is called: how large, where they are kept, and when they go."""

from __future__ import annotations

import io
from typing import Any

import pytest

from geventkws.http.errors import RequestBodyError
from geventkws.http.spool import SPOOL_MEMORY, body_limit, decoded, spool
from geventkws.options import ServerOptions
from tests.http.memory import head_of
from tests.http.test_body import CHUNKED, LENGTH, body_of

CHUNK = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
END = b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("options", "of_a_length", "chunked"),
    [
        ({}, None, ServerOptions().max_spool_size),
        ({"max_body_size": 5}, 5, 5),
        ({"max_body_size": 5, "max_spool_size": 3}, 5, 3),
        ({"spool_chunked": False}, None, None),
        ({"spool_chunked": False, "max_body_size": 5, "max_spool_size": 3}, 5, 5),
    ],
)
def test_a_body_that_is_kept_has_the_smaller_limit(options, of_a_length, chunked) -> None:
    assert body_limit(head_of(LENGTH % 5), ServerOptions(**options)) == of_a_length
    assert body_limit(head_of(CHUNKED), ServerOptions(**options)) == chunked


@pytest.mark.parametrize("chunks", [0, 1, SPOOL_MEMORY // 0x8000, SPOOL_MEMORY // 0x8000 + 1])
def test_a_long_one_is_on_disk_and_each_is_closed_in_the_end(chunks: int) -> None:
    body, _ = body_of(CHUNKED, [*[CHUNK] * chunks, END])
    with spool(body) as file:
        size = file.tell()
        assert size == chunks * 0x8000
        assert isinstance(file, io.BytesIO) is (size <= SPOOL_MEMORY)
        file.seek(0)
        assert file.read() == b"a" * size
    assert file.closed


def test_the_environ_has_the_length_and_nothing_of_the_coding() -> None:
    environ: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked"}
    body, _ = body_of(CHUNKED, [b"5\r\nhello\r\n" + END])
    with decoded(environ, body, ServerOptions()):
        assert environ["wsgi.input"].read() == b"hello"
    assert environ["CONTENT_LENGTH"] == "5"
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_one_that_is_streamed_says_that_it_ends() -> None:
    environ: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked"}
    body, _ = body_of(CHUNKED, [b"5\r\nhello\r\n" + END])
    with decoded(environ, body, ServerOptions(spool_chunked=False)):
        assert environ == {"wsgi.input_terminated": True}
        assert body.buffered().read() == b"hello"


def test_one_that_is_malformed_is_refused_before_the_application_is_called() -> None:
    body, _ = body_of(CHUNKED, [b"5\r\nhello\r\nzz\r\n"])
    with pytest.raises(RequestBodyError), decoded({}, body, ServerOptions()):
        pytest.fail("it was called")
