"""A connected, non-blocking stream socket: bytes in, bytes out, and how it ends.

A transport never waits. Whoever holds it waits for its file descriptor: a greenlet by a
``Stream`` (HTTP), or the hub by a watcher (WebSocket).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Protocol

IOV_MAX = os.sysconf("SC_IOV_MAX")
JOIN_MAX = 64 * 1024
"""Chunks of up to this many bytes in all are joined; beyond it they leave by ``writev``, uncopied."""

Chunk = bytes | memoryview


class Transport(Protocol):
    """What HTTP connections and WebSocket connections need of a socket, plain or TLS."""

    secure: bool

    @property
    def pending(self) -> bool:
        """Whether ``send`` has taken bytes that the socket has not: call it again when writable."""

    def fileno(self) -> int:
        """Return the file descriptor to watch, -1 after ``close``."""

    def recv(self, size: int) -> bytes | None:
        """Read up to ``size`` bytes: ``b""`` at the peer's end, ``None`` if it would block."""

    def recv_into(self, buffer: memoryview) -> int | None:
        """Read into ``buffer``: the count, 0 at the peer's end, ``None`` if it would block."""

    def send(self, chunks: Sequence[Chunk]) -> int:
        """Write what the socket takes now of ``chunks`` and return how many bytes that was."""

    def shutdown_write(self) -> None:
        """Tell the peer that nothing more comes (TCP FIN, after TLS's ``close_notify``)."""

    def close(self) -> None:
        """Close the socket; what the kernel holds is still delivered. Idempotent."""


class PlainTransport:
    """A TCP or Unix-domain socket, owned by its file descriptor alone.

    All methods raise ``OSError`` when the connection is lost.
    """

    __slots__ = ("_fd",)
    secure = False
    pending = False

    def __init__(self, fd: int) -> None:
        """Own the connected socket ``fd``, which becomes non-blocking."""
        os.set_blocking(fd, False)
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def recv(self, size: int) -> bytes | None:
        try:
            return os.read(self._fd, size)
        except BlockingIOError:
            return None

    def recv_into(self, buffer: memoryview) -> int | None:
        try:
            return os.readv(self._fd, (buffer,))
        except BlockingIOError:
            return None

    def send(self, chunks: Sequence[Chunk]) -> int:
        try:
            if not chunks:
                return 0
            if len(chunks) == 1:
                return os.write(self._fd, chunks[0])
            if sum(map(len, chunks)) <= JOIN_MAX:
                return os.write(self._fd, b"".join(chunks))
            return os.writev(self._fd, chunks[:IOV_MAX])
        except BlockingIOError:
            return 0

    def shutdown_write(self) -> None:
        borrowed = socket.socket(fileno=self._fd)
        try:
            borrowed.shutdown(socket.SHUT_WR)
        finally:
            borrowed.detach()

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
