"""The other side of the wire: a client's frames, right and wrong, and a parser for a server's bytes."""

from __future__ import annotations

from itertools import cycle
from operator import xor
from typing import NamedTuple

from geventkws.protocol import opcodes

KEY = b"\x37\xfa\x21\x3d"
"""The masking key of RFC 6455's own examples (section 5.7)."""


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = KEY,
    length_bits: int | None = None,
    length: int | None = None,
) -> bytes:
    """Return a client's frame.

    ``key=None`` leaves it unmasked; ``length_bits`` is 7, 16 or 64 if the shortest form is not wanted;
    ``length`` is what the head claims, even if it is not that of the payload.
    """
    if length is None:
        length = len(payload)
    if length_bits is None:
        length_bits = 7 if length < 126 else 16 if length < 65536 else 64
    first = fin << 7 | rsv << 4 | opcode
    mask_bit = 0 if key is None else 0x80
    if length_bits == 7:
        head = bytes((first, mask_bit | length))
    else:
        marker = {16: 126, 64: 127}[length_bits]
        head = bytes((first, mask_bit | marker)) + length.to_bytes(length_bits // 8, "big")
    return head + payload if key is None else head + key + masked(payload, key)


def masked(data: bytes, key: bytes) -> bytes:
    """Return ``data`` masked as in section 5.3, byte by byte."""
    return bytes(map(xor, data, cycle(key)))  # a loop in Python takes ten times as long under coverage


def text(payload: str, **fields) -> bytes:
    return frame(opcodes.TEXT, payload.encode(), **fields)


def binary(payload: bytes, **fields) -> bytes:
    return frame(opcodes.BINARY, payload, **fields)


def continuation(payload: bytes = b"", **fields) -> bytes:
    return frame(opcodes.CONTINUATION, payload, **fields)


def fragments(opcode: int, pieces: list[bytes]) -> list[bytes]:
    """Return the frames of a message that consists of these pieces."""
    last = len(pieces) - 1
    return [
        frame(opcode if index == 0 else opcodes.CONTINUATION, piece, fin=index == last)
        for index, piece in enumerate(pieces)
    ]


def ping(payload: bytes = b"", **fields) -> bytes:
    return frame(opcodes.PING, payload, **fields)


def pong(payload: bytes = b"", **fields) -> bytes:
    return frame(opcodes.PONG, payload, **fields)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(opcodes.CLOSE, code.to_bytes(2, "big") + reason)


class ServerFrame(NamedTuple):
    """A frame as a client reads it; ``head`` is its size in bytes."""

    opcode: int
    payload: bytes
    fin: bool = True
    head: int = 2


def server_frames(data: bytes) -> list[ServerFrame]:
    """Return the frames in a server's bytes; raises ``AssertionError`` if there is anything else in them."""
    frames = []
    while data:
        first, second = data[0], data[1]
        assert not first & 0x70, "no extension was negotiated"
        assert not second & 0x80, "a server must not mask (5.1)"
        size = {126: 4, 127: 10}.get(second, 2)
        length = second if size == 2 else int.from_bytes(data[2:size], "big")
        payload, rest = data[size : size + length], data[size + length :]
        assert len(payload) == length, "the last frame is cut short"
        frames.append(ServerFrame(first & 0x0F, payload, bool(first & 0x80), size))
        data = rest
    return frames
