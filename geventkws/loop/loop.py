"""What the connections of a hub share, in readable Python: a worker, a buffer, corking, and whose turn it is.

No connection may hold up another. What a connection does in the hub is a *turn*, which ends after ``TURN``
seconds: what is left of its input waits in memory, and the connection in the ready queue. Between two polls
of the event loop, the turns of all connections together take one ``SLICE``. So the wait of everybody else is
bounded, however many connections have more to do.

``_compiled.pyx`` is the compiled twin of this module, ``channel`` and ``websocket.conversation``.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from gevent import getcurrent, monkey
from gevent.hub import Hub, Waiter

from geventkws.loop.workers import DONE, LOAN, RETIRE, Borrower, Idler, Worker

RECEIVE_BUFFER_SIZE = 256 * 1024
"""Bytes of the one buffer that all connections of a hub receive into."""

CROWDED_READ = 16 * 1024
"""Bytes that one connection receives at once while ``CROWD`` others wait: what it does not get to is kept."""

CROWD = 16
"""Connections that wait for another turn, from which number on each receives less at once."""

TURN = 0.000_2
"""Seconds after which a connection lets others have their turn. It looks at the clock after every call of the
application, and after every few dozen frames."""

SLICE = 0.005
"""Seconds that the turns of all connections may take together between two polls of the event loop."""

get_thread_id: Callable[[], int] = monkey.get_original("_thread", "get_ident")


class Corked(Protocol):
    """Something that has bytes to send."""

    def flush(self) -> None:
        """Offer to the socket what waits to be sent. Never raises."""


class Queued(Protocol):
    """Something that waits for its turn."""

    def proceed(self) -> None:
        """Go on, until ``turn_is_over``. Never raises."""


class Loop:
    """One hub's idle worker, shared receive buffer, corked connections and ready queue."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER_SIZE))
        self.thread_id = get_thread_id()
        self.stops_at_errors = "libuv" in type(hub.loop).__module__
        """Whether the event loop no longer watches a descriptor on which it has seen an error."""
        self.corking = False
        """Whether somebody will flush when the running batch ends or blocks."""
        self.now = monotonic()
        """When the running turn began."""
        # One is enough: a worker comes back only if it never blocked.
        self._idle: Worker | None = None
        self._corked: deque[Corked] = deque()
        self._flush_is_due = False
        self._references = 0
        # Those with news go first: whoever asks for little does not wait for those who ask for much.
        self._fresh: deque[Queued] = deque()
        self._waiting: deque[Queued] = deque()
        self._turn_ends = 0.0
        self._spent = 0.0
        # An ``async`` watcher is called once per poll, unlike a callback of the loop.
        self._poll: Any = hub.loop.async_(ref=False)
        self._poll.start(self._grant)

    def is_foreign_thread(self) -> bool:
        """Return whether the caller runs in another thread than this loop's hub."""
        return get_thread_id() != self.thread_id

    # Turns

    def begin_turn(self) -> bool:
        """Begin the turn of a connection that has news; ``False`` means that it must queue. In the hub."""
        self.now = now = monotonic()
        if self._spent >= SLICE:
            return False
        self._turn_ends = now + TURN
        return True

    def end_turn(self) -> None:
        """End what ``begin_turn`` began."""
        self._spent += monotonic() - self.now

    def turn_is_over(self) -> bool:
        """Return whether the running turn is over, and others are to have theirs."""
        return monotonic() >= self._turn_ends

    def queue(self, queued: Queued, fresh: bool = False) -> None:
        """Let ``queued`` proceed when it is its turn, before all others if it has news (``fresh``)."""
        if not (self._fresh or self._waiting):
            self._poll.send()
        (self._fresh if fresh else self._waiting).append(queued)

    @property
    def is_crowded(self) -> bool:
        """Whether many connections wait for their turn, so that each should keep little in memory."""
        return len(self._waiting) >= CROWD

    def wait_for_turn(self) -> None:
        """Let others have their turn, and return when it is the caller's again. In a greenlet."""
        parked = _Parked(self, Waiter(self.hub))
        self.queue(parked)
        parked.waiter.get()

    def take_turn(self) -> None:
        """Wait for a turn if the running one is over; do nothing in the hub, which cannot wait."""
        if monotonic() >= self._turn_ends and getcurrent() is not self.hub:
            self.wait_for_turn()

    def _grant(self) -> None:
        """Grant turns for one slice of time."""
        self._spent = 0.0
        self.now = now = monotonic()
        end = now + SLICE
        # Of those that have waited for another turn, one gets it in any case.
        self._grant_one(self._waiting)
        while (self._fresh or self._waiting) and monotonic() < end:
            self._grant_one(self._fresh or self._waiting)
        self.flush()
        if self._fresh or self._waiting:
            self._poll.send()

    def _grant_one(self, queue: deque[Queued]) -> None:
        if queue:
            self.now = monotonic()
            self._turn_ends = self.now + TURN
            queue.popleft().proceed()

    # Workers

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
            if not worker.dead:
                borrower._blocked(worker)
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
        """Return whether nothing of the batch clings to ``worker``, which never left during it.

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

    # Corking

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


class _Parked:
    """A greenlet that waits for its turn."""

    def __init__(self, loop: Loop, waiter: Waiter[None]) -> None:
        self.waiter = waiter
        self._loop = loop

    def proceed(self) -> None:
        self._loop.resume(self.waiter)


def _run_batch(worker: Worker, borrower: Borrower) -> tuple[object, int]:
    """Let ``worker`` run until it is done or blocks; return its word and the references to it."""
    result = worker.switch(LOAN, borrower)
    return result, sys.getrefcount(worker)
