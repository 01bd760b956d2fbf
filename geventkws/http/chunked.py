"""The chunked transfer coding of a request's body, decoded (RFC 9112, 7.1)."""

from __future__ import annotations

import re

from geventkws.backend import use_compiled
from geventkws.http.errors import HTTPError

MAX_OVERHEAD = 16 * 1024
"""The most bytes that the chunk extensions and trailer fields of a body may have, all together."""

MAX_LINE = 4 * 1024

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t -~\x80-\xff]*)?")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*")

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedDecoder:
    """Decodes a chunked body that arrives in any pieces. Extensions and trailer fields are dropped."""

    __slots__ = ("_left", "_overhead", "_state")

    def __init__(self) -> None:
        self._state = _SIZE
        self._left = 0
        self._overhead = 0

    @property
    def done(self) -> bool:
        """Whether the end of the body, trailer section included, has been seen."""
        return self._state == _DONE

    def decode(self, data: bytes, position: int, limit: int) -> tuple[bytes, int]:
        """Return the next piece of the body in ``data`` from ``position`` on, and the position after it.

        The piece has at most ``limit`` bytes; it is empty when the body is done or ``data`` holds
        too little to go on. Raises ``HTTPError`` (400) for a malformed body.
        """
        while self._state != _DONE:
            if self._state == _DATA:
                piece = data[position : position + min(self._left, limit)]
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
                if piece or self._state == _DATA:
                    return piece, position + len(piece)
            line = self._line(data, position)
            if line is None:
                break
            position += len(line) + 2
            self._take(line)
        return b"", position

    def _line(self, data: bytes, position: int) -> bytes | None:
        if self._state == _DATA_END and not b"\r\n".startswith(data[position : position + 2]):
            raise HTTPError(400, "A chunk of the body is longer than its size")
        end = data.find(b"\n", position, position + MAX_LINE)
        if end < 0:
            if len(data) - position >= MAX_LINE:
                raise HTTPError(400, "A line of the chunked body is too long")
            return None
        if end == position or data[end - 1] != 0x0D:
            raise HTTPError(400, "A line of the chunked body does not end in CRLF")
        return data[position : end - 1]

    def _take(self, line: bytes) -> None:
        if self._state == _SIZE:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise HTTPError(400, "A chunk of the body has a malformed size")
            self._count(len(match[2] or b""))
            self._left = int(match[1], 16)
            self._state = _DATA if self._left else _TRAILERS
        elif self._state == _DATA_END:
            self._state = _SIZE
        elif not line:
            self._state = _DONE
        elif _TRAILER_LINE.fullmatch(line):
            self._count(len(line))
        else:
            raise HTTPError(400, "The trailer section of the body is malformed")

    def _count(self, overhead: int) -> None:
        self._overhead += overhead
        if self._overhead > MAX_OVERHEAD:
            raise HTTPError(400, "The body has too many chunk extensions or trailer fields")


use_compiled(__name__, globals())
