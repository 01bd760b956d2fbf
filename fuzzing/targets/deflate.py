"""Compressed messages: inflated alike however they are cut, never beyond the limit, or refused with 1007."""

from __future__ import annotations

from collections.abc import Iterable

from fuzzing.inputs import Input, cut
from geventkws.protocol.deflate import MAX_PIECE, Deflate, Inflation
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.extensions import PerMessageDeflate

LIMIT = 200_000


SEEDS = (
    cut(bytes.fromhex("f248cdc9c90700")),
    cut(bytes.fromhex("000500faff48656c6c6f00"), 1),
    cut(bytes.fromhex("f348cdc9c9070000")),
    cut(bytes.fromhex("f248050000 00ffffcac9c90700"), 2),
)
"""The examples of RFC 7692, section 7.2.3, that need no message before them."""


def inflate(pieces: Iterable[bytes]) -> bytes | int:
    """Return what a message inflates to; the close code if it does not, 1009 if it is too large."""
    inflation, message = Inflation(Deflate(PerMessageDeflate()), LIMIT), b""
    try:
        for piece in pieces:
            for part in inflation.feed(piece):
                assert len(part) <= MAX_PIECE
                message += part
                if len(message) > LIMIT:
                    assert len(message) == LIMIT + 1
                    return 1009
        message += b"".join(inflation.finish())
    except ProtocolError as error:
        return int(error.code)
    return message if len(message) <= LIMIT else 1009


def one_input(data: bytes) -> None:
    """Compare the message whole and in pieces."""
    cut = list(Input(data).pieces())
    whole, in_pieces = inflate([b"".join(cut)]), inflate(cut)
    assert whole == in_pieces, (whole, in_pieces)
