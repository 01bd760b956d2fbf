"""A connected, non-blocking stream socket: bytes in, bytes out, and how it ends.

A transport never waits. The ``Channel`` that owns it lets the hub watch its file descriptor.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from gevent import monkey

from geventkws.backend import use_compiled

IOV_MAX = os.sysconf("SC_IOV_MAX")
JOIN_MAX = 64 * 1024
"""The most bytes that are joined into one write; more leave by ``writev``, uncopied."""

Chunk = bytes | memoryview

PROBES: Sequence[tuple[int, int, int]] = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
        if hasattr(socket, name)
    ),
]
"""Options for a socket whose peer is probed after 10 s of silence, and then every 5 s; after four probes
without an answer, it has gone.

The system of a peer that has closed its socket still answers for up to a minute, and then sends a reset.
"""

_NO_LINGER = struct.pack("ii", 1, 0)

# gevent's own os.close waits until the loop wakes up for another reason, so the peer might learn of the end
# only a second later. It does so for the sake of watchers that are still open; ours are closed beforehand.
_close = monkey.get_original("os", "close")

# A socket object is used only for single calls, which do not wait; gevent's would have watchers.
_socket: Any = monkey.get_original("socket", "SocketType")
_poll: Any = monkey.get_original("select", "poll")


class Transport(Protocol):
    """What a ``Channel`` and its owners need of a socket, plain or TLS."""

    secure: bool

    @property
    def pending(self) -> bool:
        """Whether ``send`` has taken bytes that the socket has not: call it again when that is writable."""

    def fileno(self) -> int:
        """Return the file descriptor to watch; -1 after ``close``."""

    def recv(self, size: int) -> bytes | None:
        """Read up to ``size`` bytes: ``b""`` at the peer's end, ``None`` if it would block."""

    def recv_into(self, buffer: memoryview) -> int | None:
        """Read into ``buffer``: the count, 0 at the peer's end, ``None`` if it would block."""

    def send(self, chunks: Sequence[Chunk]) -> int:
        """Write as much of ``chunks`` as the socket takes now; return how many bytes that was."""

    def environ(self) -> dict[str, Any]:
        """Return what the transport adds to the WSGI environ of the requests on it."""

    def probe(self) -> None:
        """Let the system probe every few seconds whether the peer still has the connection."""

    def is_gone(self) -> bool:
        """Return whether the connection is lost, without reading what may have arrived."""

    def shutdown_write(self) -> None:
        """Tell the peer that nothing more will come (a TCP FIN, with TLS after a ``close_notify``)."""

    def close(self) -> None:
        """Close the socket; bytes in the kernel are still delivered. Idempotent."""

    def abort(self) -> None:
        """Close the socket with a reset; bytes in the kernel are lost. Idempotent."""


class PlainTransport:
    """A TCP or Unix-domain socket, represented only by its file descriptor.

    All methods raise ``OSError`` when the connection is lost.
    """

    __slots__ = ("_fd",)
    secure = False
    pending = False

    def __init__(self, fd: int, blocks: bool = True) -> None:
        """Own the connected socket ``fd``; if it ``blocks``, it becomes non-blocking."""
        if blocks:
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

    def environ(self) -> dict[str, Any]:
        return {}

    def probe(self) -> None:
        def probe(sock: socket.socket) -> None:
            for level, option, value in PROBES:
                sock.setsockopt(level, option, value)

        with suppress(OSError):  # a Unix-domain socket, which does not need it
            self._borrow(probe)

    def is_gone(self) -> bool:
        poll = _poll()
        poll.register(self._fd, 0)  # errors and hang-ups are reported in any case
        return bool(poll.poll(0))

    def shutdown_write(self) -> None:
        self._shutdown(socket.SHUT_WR)

    def detach(self) -> int:
        """Return the descriptor, which belongs to the caller from now on."""
        fd, self._fd = self._fd, -1
        return fd

    def shutdown_read(self) -> None:
        """Report the peer's end once what has arrived is read; from now on, the descriptor stays readable."""
        self._shutdown(socket.SHUT_RD)

    def abort(self) -> None:
        if self._fd < 0:
            return
        with suppress(OSError):
            self._borrow(lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER))
        self.close()

    def _shutdown(self, how: int) -> None:
        self._borrow(lambda sock: sock.shutdown(how))

    def _borrow(self, call: Callable[[socket.socket], None]) -> None:
        """Call ``call`` with a socket object for the descriptor."""
        # With a family given (it does not matter which), Python need not ask the kernel for it.
        borrowed = _socket(socket.AF_INET, socket.SOCK_STREAM, 0, self._fd)
        try:
            call(borrowed)
        finally:
            borrowed.detach()

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _close(fd)


use_compiled(__name__, globals())
