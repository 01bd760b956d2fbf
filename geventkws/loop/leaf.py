"""What is asked of the system for every message: the clock, and bytes of a descriptor.

``_c_leaf.pyx`` is the compiled twin of this module: on a plain socket it calls ``recv`` and ``send`` itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

from gevent import monkey

from geventkws.backend import use_compiled
from geventkws.net import tls_records  # noqa: F401  whose compiled form that of this module calls
from geventkws.net.transport import Chunk, Transport

__all__ = ["Buffer", "is_pending", "monotonic", "references", "send", "thread_id"]

NOTHING = -1
"""What ``Buffer.receive`` returns where there are no bytes now."""

thread_id: Callable[[], int] = monkey.get_original("_thread", "get_ident")
"""Return the number of the calling thread."""

references: Callable[[object], int] = sys.getrefcount
"""Return how many references there are to an object."""


class Buffer:
    """Memory to receive into; its bytes from ``start`` to ``end`` are still to be handled."""

    __slots__ = ("_view", "end", "size", "start")

    def __init__(self, memory: bytearray) -> None:
        """Take ``memory``, all of which is still to be handled."""
        self._view = memoryview(memory)
        self.size = len(memory)
        self.start = 0
        self.end = self.size

    def receive(self, transport: Transport, fd: int, size: int) -> int:
        """Receive up to ``size`` bytes; return how many, 0 at the peer's end and -1 if there are none now.

        ``fd`` is the descriptor of ``transport``. Raises ``OSError`` when the connection is lost.
        """
        count = transport.recv_into(self._view[:size])
        self.start, self.end = 0, count or 0
        return NOTHING if count is None else count

    def view(self) -> memoryview:
        """Return the bytes that are still to be handled, in place."""
        return self._view[self.start : self.end]

    def copy(self) -> bytes:
        """Return the bytes that are still to be handled."""
        return bytes(self.view())


def send(transport: Transport, fd: int, chunks: list[Chunk]) -> int:
    """Write what the socket takes now of ``chunks``; return how many bytes that was.

    ``fd`` is the descriptor of ``transport``. Raises ``OSError`` when the connection is lost.
    """
    return transport.send(chunks)


def is_pending(transport: Transport) -> bool:
    """Return whether ``send`` has taken bytes that the socket has not."""
    return transport.pending


use_compiled(__name__, globals())
