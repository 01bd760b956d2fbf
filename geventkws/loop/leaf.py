"""What every message needs from the system: the time, and the bytes of a descriptor.

``_c_leaf.pyx`` is the compiled twin of this module: on a plain socket it calls ``recv`` and ``send`` itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

from gevent import monkey

from geventkws.backend import use_compiled
from geventkws.net import tls_records  # noqa: F401  whose compiled form that of this module calls
from geventkws.net.address import Address
from geventkws.net.listeners import shown
from geventkws.net.transport import Chunk, Transport

__all__ = ["Buffer", "accept", "is_pending", "monotonic", "references", "send", "send_last", "thread_id"]

NOTHING = -1
"""What ``Buffer.receive`` returns if there are no bytes now."""

thread_id: Callable[[], int] = monkey.get_original("_thread", "get_ident")
"""Return the number of the calling thread."""

references: Callable[[object], int] = sys.getrefcount
"""Return how many references there are to an object."""


class Buffer:
    """Memory to receive into. Its bytes from ``start`` to ``end`` have not been handled yet."""

    __slots__ = ("_view", "end", "size", "start")

    def __init__(self, memory: bytearray) -> None:
        """Wrap ``memory``, none of which has been handled yet."""
        self._view = memoryview(memory)
        self.size = len(memory)
        self.start = 0
        self.end = self.size

    def receive(self, transport: Transport, fd: int, size: int) -> int:
        """Receive up to ``size`` bytes; return how many: 0 at the end of the stream, -1 if nothing is there.

        ``fd`` is the descriptor of ``transport``. Raises ``OSError`` when the connection is lost.
        """
        count = transport.recv_into(self._view[:size])
        self.start, self.end = 0, count or 0
        return NOTHING if count is None else count

    def view(self) -> memoryview:
        """Return the bytes that have not been handled yet, without copying them."""
        return self._view[self.start : self.end]

    def copy(self) -> bytes:
        """Return a copy of the bytes that have not been handled yet."""
        return bytes(self.view())


def accept(listener: Any) -> tuple[int, Address] | None:
    """Accept a connection: its descriptor, which does not block, and the address of the peer.

    ``None`` if nobody is waiting, or nobody any more. Raises ``OSError`` for any other reason.
    """
    try:
        fd, address = listener._accept()
    except (BlockingIOError, ConnectionAbortedError):
        return None
    os.set_blocking(fd, False)
    return fd, shown(address)


def send(transport: Transport, fd: int, chunks: list[Chunk]) -> int:
    """Write as much of ``chunks`` as the socket takes now; return how many bytes that was.

    ``fd`` is the descriptor of ``transport``. Raises ``OSError`` when the connection is lost.
    """
    return transport.send(chunks)


def send_last(transport: Transport, fd: int, chunks: list[Chunk]) -> int:
    """Do what ``send`` does with the last bytes of a connection, which is closed as soon as they have left.

    So the end may travel with them: the compiled form half-closes a plain socket in the same segment, which
    spares both sides a packet.
    """
    return transport.send(chunks)


def is_pending(transport: Transport) -> bool:
    """Return whether ``send`` has taken bytes that the socket has not."""
    return transport.pending


use_compiled(__name__, globals())
