"""The server's side of a WebSocket connection after the opening handshake, without its socket.

Received bytes become events, and what is sent becomes bytes in ``output``. The caller decides when a ping, a
close frame or a failure is answered, so that messages that arrived before it can be answered first.
"""

from __future__ import annotations

from geventkws.backend import use_compiled
from geventkws.protocol import opcodes
from geventkws.protocol.close import close_payload
from geventkws.protocol.deflate import Compression, Deflate
from geventkws.protocol.frames import JOINED_PAYLOAD, UNLIMITED, FrameParser, encode_frame, encode_head
from geventkws.protocol.messages import Event

MAX_LOOSE_CHUNKS = 256
"""Whenever this many chunks are waiting, they are joined: a chunk takes more memory than a short message."""

Message = str | bytes | bytearray | memoryview
"""What can be sent: a ``str`` as text, the others as binary messages."""


def encode_message(message: Message, as_binary: bool | None = None) -> tuple[int, bytes]:
    """Return the opcode and payload of a message; without ``as_binary``, its type decides which opcode.

    Raises ``TypeError`` for another type, and ``ValueError`` for text that is not UTF-8.
    """
    if isinstance(message, str):
        return (opcodes.BINARY if as_binary else opcodes.TEXT), message.encode("utf-8")
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"a message must be str or bytes, not {type(message).__name__}: encode it first,"
            " with json.dumps, for example"
        )
    payload = bytes(message)
    if as_binary is False:
        payload.decode("utf-8")
        return opcodes.TEXT, payload
    return opcodes.BINARY, payload


class Broadcast:
    """One message for many connections: encoded once, and compressed once for each set of parameters."""

    __slots__ = ("_compress", "_frames", "_opcode", "_payload")

    def __init__(self, message: Message, as_binary: bool | None = None, compress: bool | None = None) -> None:
        """Take a message as ``encode_message`` does; ``compress`` is that of ``Endpoint.send``."""
        self._opcode, self._payload = encode_message(message, as_binary)
        self._compress = compress
        self._frames: dict[Compression | None, bytes] = {}

    @property
    def size(self) -> int:
        """The size of the message in bytes, before compression."""
        return len(self._payload)

    def frame_for(self, deflate: Deflate | None) -> bytes:
        """Return the frame for an endpoint with this ``deflate``, where it must then be sent exactly once."""
        if deflate is not None and deflate.compression is None:
            # Its compression depends on what was sent on this connection before.
            return encode_frame(*deflate.encode(self._opcode, self._payload, self._compress))
        key = None if deflate is None else deflate.compression
        frame = self._frames.get(key)
        if frame is None:
            opcode, payload = self._opcode, self._payload
            if deflate is not None:
                opcode, payload = deflate.encode(opcode, payload, self._compress)
            frame = self._frames[key] = encode_frame(opcode, payload)
        return frame


class Endpoint:
    """The state of the conversation, and the bytes waiting to be sent.

    ``output`` is the list of chunks to send, and ``output_size`` the number of bytes in them. After ``close``
    nothing more is ever added (RFC 6455, sections 5.5.1 and 7.1.7). ``deflate`` compresses and inflates
    messages, if that was negotiated.
    """

    __slots__ = (
        "_loose",
        "_parser",
        "bytes_received",
        "bytes_sent",
        "close_sent",
        "deflate",
        "messages_received",
        "messages_sent",
        "output",
        "output_size",
    )

    def __init__(self, max_message_size: int, max_fragments: int, deflate: Deflate | None = None) -> None:
        self._parser = FrameParser(max_message_size, max_fragments, deflate)
        self.deflate = deflate
        self.output: list[bytes | memoryview] = []
        self._loose = 0
        self.output_size = 0
        self.close_sent = False
        self.messages_received = 0
        self.messages_sent = 0
        self.bytes_received = 0
        self.bytes_sent = 0

    @property
    def taken(self) -> int:
        """How many bytes the last ``receive`` took."""
        return self._parser.taken

    def receive(self, data: bytes | memoryview, max_frames: int = UNLIMITED) -> list[Event]:
        """Return the events that the peer's ``data`` completes; see ``FrameParser.feed``."""
        events = self._parser.feed(data, max_frames)
        self.bytes_received += self._parser.taken
        for event in events:
            if isinstance(event, (str, bytes)):
                self.messages_received += 1
        return events

    def to_send(self) -> list[bytes | memoryview]:
        """Return ``output``, which compiled callers get without a look-up this way."""
        return self.output

    def send(self, opcode: int, payload: bytes, compress: bool | None = None) -> None:
        """Send a text or binary message in one frame, compressed as ``Deflate.encode`` decides."""
        if self.close_sent:
            return
        self.messages_sent += 1
        if self.deflate is not None:
            opcode, payload = self.deflate.encode(opcode, payload, compress)
        if len(payload) > JOINED_PAYLOAD:
            self._put(encode_head(opcode, len(payload)))
            self._put(payload)
        else:
            self._put(encode_frame(opcode, payload))

    def send_text(self, text: str) -> None:
        """Send a text message, as ``send`` does; raises ``ValueError`` for one that is not Unicode."""
        self.send(opcodes.TEXT, text.encode())

    def send_encoded(self, frame: bytes) -> None:
        """Send an already encoded message (one frame for many connections)."""
        if not self.close_sent:
            self.messages_sent += 1
            self._put(frame)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping; raises ``ValueError`` for a ``payload`` of more than 125 bytes (5.5)."""
        if len(payload) > opcodes.MAX_CONTROL_PAYLOAD:
            raise ValueError(
                f"a ping's payload must be at most {opcodes.MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}"
            )
        if not self.close_sent:
            self._put(encode_frame(opcodes.PING, payload))

    def pong(self, payload: bytes) -> None:
        """Answer a ping with its payload (5.5.3)."""
        if not self.close_sent:
            self._put(encode_frame(opcodes.PONG, payload))

    def close(self, code: int, reason: str = "") -> None:
        """Send this side's only close frame: to start the closing handshake, to answer, or to fail.

        1005 sends an empty one. Raises ``ValueError`` as ``close_payload`` does, before anything is sent.
        """
        payload = close_payload(code, reason)
        if not self.close_sent:
            self._put(encode_frame(opcodes.CLOSE, payload))
            self.close_sent = True

    def _put(self, chunk: bytes) -> None:
        self.output.append(chunk)
        self.output_size += len(chunk)
        self._loose += 1
        if self._loose == MAX_LOOSE_CHUNKS:
            self.output[-MAX_LOOSE_CHUNKS:] = [b"".join(self.output[-MAX_LOOSE_CHUNKS:])]
            self._loose = 0

    def sent(self, count: int) -> None:
        """Remove the first ``count`` bytes from ``output``: the transport has taken them."""
        self.bytes_sent += count
        self.output_size -= count
        if not self.output_size:
            self.output.clear()
            self._loose = 0
            return
        gone = 0
        while count >= len(self.output[gone]):
            count -= len(self.output[gone])
            gone += 1
        del self.output[:gone]
        if count:
            self.output[0] = memoryview(self.output[0])[count:]


use_compiled(__name__, globals())
