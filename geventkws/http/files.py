"""Files as responses: ``wsgi.file_wrapper``, and the part of a file that the kernel itself can send."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import Any, NamedTuple

MAX_SENT = 1024 * 1024
"""The most bytes that the kernel is told to send at once; other connections get their turn in between."""

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""Errors of ``os.sendfile`` for a file that can still be read: some file systems are like that."""


class FileWrapper:
    """``wsgi.file_wrapper``: a file-like object, iterated in blocks of ``block_size`` bytes."""

    def __init__(self, filelike: Any, block_size: int = 64 * 1024) -> None:
        self.filelike = filelike
        self._block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self._block_size)
        if block:
            return block
        raise StopIteration


class FilePart(NamedTuple):
    """The rest of a regular file, from its position on."""

    descriptor: int
    offset: int
    size: int


def rest_of(filelike: object) -> FilePart | None:
    """Return the part of a file that ``filelike`` would read; ``None`` if that is not what is on disk.

    Only Python's own binary files are known to read what is on disk: a ``GzipFile`` has a descriptor, too.
    """
    if isinstance(filelike, (io.BufferedReader, io.BufferedRandom)):
        raw: object = filelike.raw
    else:
        raw = filelike
    if type(raw) is not io.FileIO or not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        return None
    file = filelike if isinstance(filelike, io.BufferedIOBase) else raw
    file.flush()
    offset = file.tell()
    return FilePart(raw.fileno(), offset, max(os.fstat(raw.fileno()).st_size - offset, 0))
