"""Choices and pieces from the bytes of an input: the fuzzer also decides on limits, and where a read ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SIZES = (1, 2, 3, 16, 200, 4096, 1 << 20)
"""The sizes of pieces."""


WHOLE = SIZES[-1]


def cut(data: bytes, size: int = WHOLE) -> bytes:
    """Return the end of an input whose ``pieces`` are ``data`` in pieces of this size, one of ``SIZES``."""
    choice = bytes([SIZES.index(size)])
    return b"".join(choice + data[start : start + size] for start in range(0, len(data), size))


class Input:
    """An input, of which the first bytes are choices and the rest is data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def choose(self, choices: Sequence[T]) -> T:
        """Return the element that the next byte chooses; the first, if there is none."""
        byte = self._data[self._position] if self._position < len(self._data) else 0
        self._position += 1
        return choices[byte % len(choices)]

    def rest(self) -> bytes:
        """Return all that is left."""
        rest = self._data[self._position :]
        self._position = len(self._data)
        return rest

    def pieces(self) -> Iterator[bytes]:
        """Yield all that is left in pieces, each of a size that the byte before it chooses."""
        while self._position < len(self._data):
            size = self.choose(SIZES)
            yield self._data[self._position : self._position + size]
            self._position += size
