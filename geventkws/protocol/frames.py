"""The framing of data (RFC 6455, section 5.2): events from a client's bytes, a server's bytes from messages.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |F|R|R|R| opcode|M| payload len |  extended payload length      |
    |I|S|S|S|  (4)  |A|     (7)     |  16 bits if payload len = 126 |
    |N|V|V|V|       |S|             |  64 bits if payload len = 127 |
    | |1|2|3|       |K|             |  then 32 bits of masking key  |
    +-+-+-+-+-------+-+-------------+-------------------------------+
"""

from __future__ import annotations

from geventkws.protocol import opcodes
from geventkws.protocol.close import Close
from geventkws.protocol.deflate import RSV1, Deflate
from geventkws.protocol.errors import ProtocolError, violation
from geventkws.protocol.masking import apply_mask
from geventkws.protocol.messages import Event, MessageAssembler

FIN = 0x80
RSV = 0x70
OPCODE = 0x0F
MASK = 0x80
LENGTH = 0x7F
LENGTH_16 = 126
LENGTH_64 = 127

JOINED_PAYLOAD = 4 * 1024
"""The most bytes of a payload that are copied after its head: that costs less than a chunk of its own."""
MAX_HEAD_SIZE = 14
"""Two bytes, eight of extended length and four of masking key."""

UNLIMITED = (1 << 31) - 1
"""As a number of frames, means all of them. It fits the C ``int`` in which the compiled twin counts."""


def encode_head(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """Return the head of a server's frame, unmasked, with the length in the shortest form (5.1, 5.2)."""
    first = (FIN if fin else 0) | opcode
    if length < LENGTH_16:
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, LENGTH_16)) + length.to_bytes(2, "big")
    return bytes((first, LENGTH_64)) + length.to_bytes(8, "big")


def encode_frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a server's frame: head and payload."""
    return encode_head(opcode, len(payload), fin=fin) + payload


class FrameParser:
    """Turns a client's bytes, in whatever pieces they arrive, into events.

    At most 13 bytes of an unfinished head are kept here; payloads go to the ``MessageAssembler`` piece by
    piece, so that its rules are enforced as the bytes arrive.

    ``taken`` is how many bytes the last ``feed`` took, and ``frames_taken`` how many frames ended in them.
    """

    __slots__ = (
        "_assembler",
        "_done",
        "_head",
        "_in_payload",
        "_masking_key",
        "_offset",
        "_remaining",
        "_reserved",
        "frames_taken",
        "taken",
    )

    def __init__(self, max_message_size: int, max_fragments: int, deflate: Deflate | None = None) -> None:
        """Accept messages of up to ``max_message_size`` bytes in up to ``max_fragments`` frames.

        ``deflate`` inflates compressed messages, if that was negotiated.
        """
        self._assembler = MessageAssembler(max_message_size, max_fragments, deflate)
        self._reserved = RSV if deflate is None else RSV & ~RSV1
        self._head = b""
        self._in_payload = False
        self._masking_key = b""
        self._offset = 0
        self._remaining = 0
        self._done = False
        self.taken = 0
        self.frames_taken = 0

    @property
    def at_rest(self) -> bool:
        """Whether no frame and no message has begun."""
        return not self._head and not self._in_payload and self._assembler.between_messages

    def feed(self, data: bytes | memoryview, max_frames: int = UNLIMITED) -> list[Event]:
        """Return the events that ``data`` completes, in the order of the wire.

        At most ``max_frames`` frames of any kind are taken; the caller must feed the bytes after the first
        ``taken`` again. A ``Close`` or a ``ProtocolError`` is the last event: after it, all bytes are taken
        and discarded (RFC 6455, sections 1.4 and 7.1.7).
        """
        events: list[Event] = []
        position = frames = 0
        try:
            while frames < max_frames and not self._done:
                if not self._in_payload:
                    position = self._read_head(data, position)
                    if not self._in_payload:
                        break
                position = self._read_payload(data, position)
                if self._remaining:
                    break
                self._in_payload = False
                frames += 1
                event = self._assembler.end()
                if event is not None:
                    events.append(event)
                    self._done = isinstance(event, Close)
        except ProtocolError as error:
            self._done = True
            # A new one: the one raised holds on to ``data`` and ``events`` by its traceback and its cause.
            events.append(ProtocolError(error.code, error.message))
        self.taken = len(data) if self._done else position
        self.frames_taken = frames
        return events

    def _read_head(self, data: bytes | memoryview, position: int) -> int:
        """Read a frame's head from ``data`` at ``position``, and return where its payload starts."""
        kept = len(self._head)
        head = self._head + bytes(data[position : position + MAX_HEAD_SIZE - kept])
        size = self._parse_head(head)
        if size is None:
            self._head = head
            return len(data)
        self._head = b""
        return position + size - kept

    def _parse_head(self, head: bytes) -> int | None:
        """Check as much of a head as there is; return its size in bytes, or ``None`` to wait for more."""
        if len(head) < 2:
            return None
        first, second = head[0], head[1]
        if first & self._reserved:
            # "MUST be 0 unless an extension is negotiated that defines meanings" (5.2)
            raise violation("Reserved bits must be 0 unless an extension that uses them was negotiated")
        if first & RSV1 and first & OPCODE not in (opcodes.TEXT, opcodes.BINARY):
            # Messages are compressed as a whole, and control frames never (RFC 7692, sections 5 and 6.1)
            raise violation("Only the first frame of a message may say by RSV1 that it is compressed")
        if not second & MASK:
            # "The server MUST close the connection upon receiving a frame that is not masked." (5.1)
            raise violation("Frames sent by a client must be masked")
        length, size = second & LENGTH, 2
        if length == LENGTH_16:
            size = 4
        elif length == LENGTH_64:
            size = 10
        if len(head) < size:
            return None
        if size > 2:
            length = _extended_length(head[2:size])
        if len(head) < size + 4:
            return None
        self._assembler.begin(bool(first & FIN), first & OPCODE, length, bool(first & RSV1))
        self._masking_key = head[size : size + 4]
        self._offset, self._remaining, self._in_payload = 0, length, True
        return size + 4

    def _read_payload(self, data: bytes | memoryview, position: int) -> int:
        """Take as much of a frame's payload as there is, and return where it ends in ``data``."""
        end = min(position + self._remaining, len(data))
        if end > position:
            self._assembler.payload(apply_mask(data[position:end], self._masking_key, self._offset))
            self._offset += end - position
            self._remaining -= end - position
        return end


def _extended_length(field: bytes) -> int:
    length = int.from_bytes(field, "big")
    # "the minimal number of bytes MUST be used to encode the length" and, for 64 bits, "the most
    # significant bit MUST be 0" (5.2)
    if length < (LENGTH_16 if len(field) == 2 else 1 << 16):
        raise violation("The payload length must be encoded in the minimal number of bytes")
    if length >= 1 << 63:
        raise violation("The most significant bit of a 64-bit payload length must be 0")
    return length
