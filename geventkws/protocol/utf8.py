"""UTF-8 of text messages and close reasons, checked while the bytes arrive (RFC 6455, section 8.1)."""

from __future__ import annotations

import codecs

from geventkws.protocol.errors import invalid_text

_decoder = codecs.getincrementaldecoder("utf-8")


class Utf8Validator:
    """Checks text that arrives in pieces; an invalid byte raises as soon as it is fed.

    Whether the text ends inside a character, ``decode_text`` tells.
    """

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = _decoder("strict")

    def feed(self, data: bytes) -> None:
        """Check the next piece; raises ``ProtocolError`` (1007) at the first invalid byte."""
        try:
            self._decoder.decode(data)
        except UnicodeDecodeError as error:
            raise invalid_text(NOT_UTF8) from error
        # CPython waits for a surrogate's third byte (for "surrogatepass"); the second tells already.
        unfinished = self._decoder.getstate()[0]
        if len(unfinished) == 2 and unfinished[0] == 0xED and unfinished[1] >= 0xA0:
            raise invalid_text(NOT_UTF8)


NOT_UTF8 = "A text message must be valid UTF-8"


def decode_text(data: bytes | bytearray) -> str:
    """Return the text of a whole message; raises ``ProtocolError`` (1007) if it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_text(NOT_UTF8) from error
