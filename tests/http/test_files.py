"""Which files the kernel may send directly."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest

from geventkws.http.files import FileWrapper, rest_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize("buffering", [-1, 0])
def test_the_rest_of_a_file_is_what_reading_would_give(path: Path, buffering: int) -> None:
    with path.open("rb", buffering) as file:
        assert rest_of(file) == (file.fileno(), 0, 10)
        file.read(3)
        assert rest_of(file) == (file.fileno(), 3, 7)
        file.seek(20)
        assert rest_of(file) == (file.fileno(), 20, 0)


def test_what_was_written_counts(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8)
        file.write(b"abcd")
        file.seek(0)
        assert rest_of(file) == (file.fileno(), 0, 12)


def test_a_file_that_reads_as_something_else_is_read(path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(b"0123456789"))
    with gzip.open(packed) as unpacking:
        assert rest_of(unpacking) is None
        assert rest_of(io.BufferedReader(unpacking)) is None
    with path.open() as text:
        assert rest_of(text) is None
    assert rest_of(io.BytesIO(b"abc")) is None


def test_a_pipe_is_read() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb", 0) as pipe:
        assert rest_of(pipe) is None


def test_a_wrapper_iterates_in_blocks_and_closes_the_file() -> None:
    file = io.BytesIO(b"abcdefg")
    wrapper = FileWrapper(file, 3)
    assert list(wrapper) == [b"abc", b"def", b"g"]
    wrapper.close()
    assert file.closed


def test_a_file_without_close_makes_a_wrapper_without_close() -> None:
    class Readable:
        def read(self, size: int) -> bytes:
            return b""

    assert not hasattr(FileWrapper(Readable()), "close")
