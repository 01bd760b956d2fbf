"""Messages from frames: fragments, control frames between them, text and limits (RFC 6455, section 5.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from geventkws.protocol import opcodes
from geventkws.protocol.close import WRONG_SIZE, Close, parse_close
from geventkws.protocol.deflate import Deflate, Inflation
from geventkws.protocol.errors import ProtocolError, too_large, violation
from geventkws.protocol.utf8 import Utf8Validator, decode_text


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping frame, to be answered with a pong with the same payload (RFC 6455, section 5.5.2)."""

    payload: bytes


Event = str | bytes | Ping | Close | ProtocolError
"""What a peer's bytes mean.

A ``str`` is a complete text message, and ``bytes`` a complete binary one. A ``Close`` or ``ProtocolError`` is
the last event of a connection. A pong, solicited or not, is not an event: it needs no response (RFC 6455,
section 5.5.3).
"""


def control_event(opcode: int, payload: bytes) -> Ping | Close | None:
    """Return the event for a complete control frame; raises ``ProtocolError`` as ``parse_close`` does."""
    if opcode == opcodes.PONG:
        return None
    return Ping(payload) if opcode == opcodes.PING else parse_close(payload)


class MessageAssembler:
    """Checks the frames of one connection in order, and joins their payloads.

    For each frame, call ``begin`` with the content of its head, before any payload is buffered; ``payload``
    with each unmasked piece; and ``end``, which returns the event that the frame completes, if any. Each
    raises ``ProtocolError`` as soon as a rule is broken. Compressed messages are inflated as they arrive; the
    rules about size and text apply to the inflated message.
    """

    __slots__ = (
        "_buffer",
        "_control",
        "_control_opcode",
        "_deflate",
        "_fin",
        "_fragments",
        "_inflation",
        "_max_fragments",
        "_max_message_size",
        "_message_opcode",
        "_validator",
    )

    def __init__(self, max_message_size: int, max_fragments: int, deflate: Deflate | None = None) -> None:
        self._deflate = deflate
        self._max_message_size = max_message_size
        self._max_fragments = max_fragments
        self._message_opcode: int | None = None
        self._fin = True
        self._fragments = 0
        self._buffer = bytearray()
        self._validator: Utf8Validator | None = None
        self._inflation: Inflation | None = None
        self._control_opcode: int | None = None
        self._control = b""

    def begin(self, fin: bool, opcode: int, length: int, compressed: bool = False) -> None:
        """Check the head of a frame; ``length`` is that of its payload in bytes, ``compressed`` its RSV1."""
        if opcode not in opcodes.ASSIGNED:
            raise violation(f"Parsed a frame with an invalid operation code of {opcode}")
        if opcode >= opcodes.FIRST_CONTROL_OPCODE:
            self._begin_control(fin, opcode, length)
        else:
            self._begin_data(fin, opcode, length, compressed)

    def _begin_control(self, fin: bool, opcode: int, length: int) -> None:
        # "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
        # fragmented." (5.5)
        if not fin:
            raise violation("Control frames must not be fragmented")
        if length > opcodes.MAX_CONTROL_PAYLOAD:
            if opcode == opcodes.CLOSE:
                raise violation(WRONG_SIZE)
            raise violation("Control frames are only allowed to have payload up to and including 125 octets")
        self._control_opcode = opcode

    def _begin_data(self, fin: bool, opcode: int, length: int, compressed: bool) -> None:
        if opcode == opcodes.CONTINUATION:
            if self._message_opcode is None:
                raise violation("Continuation sent with prior binary or text frame")
        elif self._message_opcode is not None:
            kind = "text" if opcode == opcodes.TEXT else "binary"
            raise violation(f"A {kind} frame must be the first in the message")
        else:
            self._message_opcode = opcode
            self._validator = Utf8Validator() if opcode == opcodes.TEXT else None
            if compressed and self._deflate is not None:
                self._inflation = Inflation(self._deflate, self._max_message_size)
        self._fin = fin
        self._fragments += 1
        if self._inflation is None:
            self._check_size(length)
        if self._fragments > self._max_fragments:
            raise too_large(f"A message must have at most {self._max_fragments} fragments")

    def payload(self, data: bytes) -> None:
        """Take the next unmasked piece of the frame's payload."""
        if self._control_opcode is not None:
            self._control += data
        elif self._inflation is None:
            self._append(data)
        else:
            self._append_inflated(self._inflation.feed(data))

    def _append(self, data: bytes) -> None:
        if self._validator is not None:
            self._validator.feed(data)
        self._buffer += data

    def _append_inflated(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._check_size(len(piece))
            self._append(piece)

    def _check_size(self, more: int) -> None:
        if len(self._buffer) + more > self._max_message_size:
            raise too_large(f"A message must be at most {self._max_message_size} bytes")

    def end(self) -> Event | None:
        """Return the event that the frame's last byte completes; ``None`` for a fragment or a pong."""
        if self._control_opcode is not None:
            return self._end_control()
        if not self._fin:
            return None
        if self._inflation is not None:
            self._append_inflated(self._inflation.finish())
            self._inflation.keep(self._buffer)
            self._inflation = None
        buffer, self._buffer = self._buffer, bytearray()
        opcode, self._message_opcode = self._message_opcode, None
        self._validator = None
        self._fragments = 0
        return decode_text(buffer) if opcode == opcodes.TEXT else bytes(buffer)

    def _end_control(self) -> Ping | Close | None:
        opcode, self._control_opcode = self._control_opcode, None
        payload, self._control = self._control, b""
        assert opcode is not None
        return control_event(opcode, payload)

    @property
    def between_messages(self) -> bool:
        """Whether no message has begun, so that the next data frame must be a text or binary frame."""
        return self._message_opcode is None
