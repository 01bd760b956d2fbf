"""UTF-8 in text messages and close reasons, checked as the bytes arrive (RFC 6455, section 8.1)."""

from __future__ import annotations

import codecs

from geventkws.protocol.errors import invalid_text

_decoder = codecs.getincrementaldecoder("utf-8")


class Utf8Validator:
    """Checks text that arrives in pieces, and raises as soon as an invalid byte is fed.

    ``decode_text`` finds a text that ends inside a character.
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
        # For a surrogate, CPython waits for the third byte (for "surrogatepass"); the second is enough.
        unfinished = self._decoder.getstate()[0]
        if len(unfinished) == 2 and unfinished[0] == 0xED and unfinished[1] >= 0xA0:
            raise invalid_text(NOT_UTF8)


NOT_UTF8 = "A text message must be valid UTF-8"


def decode_text(data: bytes | bytearray) -> str:
    """Return the text of a complete message; raises ``ProtocolError`` (1007) if it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_text(NOT_UTF8) from error
