"""What the connections of a hub share for every message, in readable Python: a worker, a buffer, corking.

``_hotpath.pyx`` is the compiled twin of this module and ``hotpath``.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gevent import monkey
from gevent.hub import Hub, Waiter

from geventkws.tlsrecords import MAX_CIPHERTEXT
from geventkws.transport import Transport
from geventkws.workers import DONE, LOAN, RETIRE, Borrower, Idler, Worker

RECEIVE_BUFFER_SIZE = 256 * 1024
"""Bytes of the one buffer that all connections of a hub receive into."""

COMPRESSED_READ = 4 * 1024
"""Bytes read at once where messages are compressed: they inflate to 4 MiB at most, in one turn of the hub.

Over TLS a record is decrypted whole, so that it may be 16 KiB more.
"""

get_thread_id: Callable[[], int] = monkey.get_original("_thread", "get_ident")


def compressed_read(transport: Transport) -> int:
    """Return the size of the buffer to receive into where messages are compressed."""
    return COMPRESSED_READ + (MAX_CIPHERTEXT if transport.secure else 0)


class Corked(Protocol):
    """Who has frames that wait."""

    def flush(self) -> None:
        """Offer what waits to be sent to the socket. Never raises."""


class HotLoop:
    """One hub's idle worker, shared receive buffer and corked connections."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER_SIZE))
        self.thread_id = get_thread_id()
        self.stops_at_errors = "libuv" in type(hub.loop).__module__
        """Whether the event loop no longer watches a descriptor on which it has seen an error."""
        self.corking = False
        """Whether somebody will flush when the running batch ends or blocks."""
        # One is enough: only a worker that never left the hub waiting for it comes back.
        self._idle: Worker | None = None
        self._corked: deque[Corked] = deque()
        self._flush_is_due = False
        self._references = 0

    def is_foreign_thread(self) -> bool:
        """Tell whether the caller runs in another thread than this loop's hub."""
        return get_thread_id() != self.thread_id

    def lend(self, borrower: Borrower) -> None:
        """Let ``borrower`` work in a greenlet; return when it is done or has blocked. In the hub."""
        if not self._references:
            self._references = self._count_references()
        worker = self._idle_worker()
        corking, self.corking = self.corking, True
        try:
            result, references = _run_batch(worker, borrower)
        finally:
            self.corking = corking
        if result is not DONE:
            worker.away = True
        elif self._is_reusable(worker, references):
            if worker.gr_context is not None:
                worker.gr_context = None
            self._idle = worker
        else:
            worker.switch(RETIRE)

    def _idle_worker(self) -> Worker:
        worker, self._idle = self._idle, None
        return Worker(parent=self.hub) if worker is None or worker.dead else worker

    def _is_reusable(self, worker: Worker, references: int) -> bool:
        """Tell whether nothing of the batch clings to ``worker``, which never left during it.

        A ``gevent.local`` shows in its ``__dict__``; a pending ``Timeout``, a scheduled ``kill``
        or a link hold a reference.
        """
        return not worker.dead and not worker.__dict__ and references <= self._references

    def _count_references(self) -> int:
        """Return how many references an untouched worker has: learnt from an empty batch."""
        worker = Worker(parent=self.hub)
        _, references = _run_batch(worker, Idler())
        worker.switch(RETIRE)
        return references

    def resume(self, waiter: Waiter[None]) -> None:
        """Switch back into a greenlet that waits for a connection, corking what it sends. In the hub."""
        corking, self.corking = self.corking, True
        try:
            waiter.switch(None)
        finally:
            self.corking = corking

    def cork(self, corked: Corked) -> None:
        """Flush ``corked`` when the running batch ends or blocks, or else in the hub's next turn."""
        self._corked.append(corked)
        if not self.corking:
            self.flush_soon()

    def flush_soon(self) -> None:
        """Flush all corked connections in the hub's next turn."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self.hub.loop.run_callback(self._flush_when_due)

    def flush(self) -> None:
        """Flush all corked connections."""
        while self._corked:
            self._corked.popleft().flush()

    def _flush_when_due(self) -> None:
        self._flush_is_due = False
        self.flush()


def _run_batch(worker: Worker, borrower: Borrower) -> tuple[object, int]:
    """Let ``worker`` run until it is done or blocks; return its word and the references to it."""
    result = worker.switch(LOAN, borrower)
    return result, sys.getrefcount(worker)
