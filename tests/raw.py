"""A WebSocket client that does exactly what a test says: bytes, frames, half-closes, resets."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import NamedTuple

from gevent.monkey import get_original

from geventkws.protocol.frames import encode_head
from geventkws.protocol.masking import apply_mask
from tests.waiting import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class Frame(NamedTuple):
    """A frame from the server."""

    opcode: int
    payload: bytes
    fin: bool = True


def masked(opcode: int, payload: bytes | str = b"", *, fin: bool = True) -> bytes:
    """Return a client's frame."""
    data = payload.encode() if isinstance(payload, str) else payload
    key = b"mask"
    head = bytearray(encode_head(opcode, len(data), fin=fin))
    head[1] |= 0x80
    return bytes(head) + key + apply_mask(data, key)


def close_frame(code: int | None = None, reason: str = "") -> bytes:
    """Return a client's close frame."""
    return masked(CLOSE, b"" if code is None else struct.pack(">H", code) + reason.encode())


class RawClient:
    """A socket to a server under test, after the opening handshake if ``path`` is given."""

    def __init__(
        self,
        port: int,
        path: str | None = None,
        *headers: str,
        behind: bytes = b"",
        sock: socket.socket | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        if sock is None:
            sock = socket.socket()
            sock.settimeout(PATIENCE)
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.connect(("127.0.0.1", port))
        self.sock = sock
        self.buffer = b""
        self.head = ""
        if path is not None:
            self.send(upgrade_request(path, *headers) + behind)
            self.head = self.read_head()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read_head(self) -> str:
        """Return the head of an HTTP response."""
        while b"\r\n\r\n" not in self.buffer:
            self._read_more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def read_body(self, size: int) -> bytes:
        """Return the ``size`` bytes announced by the head of a response."""
        return self._take(size)

    def frame(self) -> Frame:
        """Return the server's next frame, which must not be masked; raises ``EOFError`` at the end."""
        head = self._take(2)
        assert not head[0] & 0x70, "the server must not set reserved bits"
        assert not head[1] & 0x80, "the server must not mask"
        length = head[1]
        if length == 126:
            length = int.from_bytes(self._take(2), "big")
            assert length > 125
        elif length == 127:
            length = int.from_bytes(self._take(8), "big")
            assert length > 65535
        return Frame(head[0] & 0x0F, self._take(length), bool(head[0] & 0x80))

    def peek(self, size: int) -> bytes:
        """Return what comes next, without removing it."""
        while len(self.buffer) < size:
            self._read_more()
        return self.buffer[:size]

    def clear_reserved_bits(self) -> None:
        """Clear the reserved bits of the next frame, as if no extension were in use."""
        self.buffer = bytes((self.peek(1)[0] & 0x8F,)) + self.buffer[1:]

    def close_code(self) -> tuple[int | None, str]:
        """Read up to the server's close frame, and return its code and reason."""
        while (frame := self.frame()).opcode != CLOSE:
            pass
        if not frame.payload:
            return None, ""
        return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()

    def read_to_end(self) -> bytes:
        """Return everything that arrives until the server closes."""
        try:
            while True:
                self._read_more()
        except EOFError:
            data, self.buffer = self.buffer, b""
            return data

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def reset_at_once(self) -> None:
        """Close with a TCP reset before this returns: gevent would close a little later."""
        with get_original("socket", "socket")(fileno=self.sock.detach()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            self._read_more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _read_more(self) -> None:
        data = self.sock.recv(256 * 1024)
        if not data:
            raise EOFError
        self.buffer += data


def upgrade_request(path: str, *headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
