"""The part of the frame loop that the connections of one hub share.

A connection holds a greenlet only while its service has something to do: the hub lends it one
(``FrameLoop.lend``), from a list of idle workers or new, and takes it back. Frames that are sent
meanwhile, to whatever connection, wait (``cork``) and leave in one ``send`` per connection
(``flush``).
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gevent import get_hub, monkey
from gevent.hub import Hub, Waiter
from greenlet import greenlet

RECEIVE_BUFFER_SIZE = 256 * 1024
"""Bytes of the one buffer that all connections of a hub receive into."""

MAX_IDLE_WORKERS = 256

_LOAN = object()
_RETIRE = object()
_DONE = object()

get_thread_id: Callable[[], int] = monkey.get_original("_thread", "get_ident")
allocate_lock: Callable[[], Any] = monkey.get_original("_thread", "allocate_lock")

switch = greenlet.switch
"""The plain switch: ``Hub.switch`` takes no value along."""


class Borrower(Protocol):
    """Who borrows a worker."""

    def work(self) -> None:
        """Do all there is to do. Never raises."""


class Corked(Protocol):
    """Who has frames that wait."""

    def flush(self) -> None:
        """Offer what waits to be sent to the socket. Never raises."""


class Worker(greenlet):
    """A greenlet that does one connection's work after another's.

    ``away`` is set by the hub when the worker blocked in a callback. Such a worker ends after its
    batch: whatever it waited with (a timeout, a link, a kill under way) may still hold it.
    """

    __slots__ = ("away",)

    def __init__(self, parent: greenlet) -> None:
        super().__init__(parent=parent)
        self.away = False

    def run(self, *loan: Any) -> None:
        hub: Any = self.parent
        while loan is not _RETIRE:
            result = None
            # A switch that is not the loop's own (somebody kept this greenlet) is ignored.
            if type(loan) is tuple and len(loan) == 2 and loan[0] is _LOAN:
                borrower, loan = loan[1], ()
                borrower.work()
                del borrower
                if self.away:
                    return
                result = _DONE
            loan = switch(hub, result)

    def throw(self, *args: Any) -> Any:
        """Throw into the greenlet, unless it is dead: a late timeout must not hit the hub instead."""
        return None if self.dead else super().throw(*args)


class FrameLoop:
    """One hub's workers, shared receive buffer, corked connections and calls from other threads."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER_SIZE))
        self.thread_id = get_thread_id()
        self._idle: list[Worker] = []
        self._corked: list[Corked] = []
        self._corking = False
        self._flush_is_due = False
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.lock = allocate_lock()
        # The watcher must not keep a hub alive that has nothing else to wait for.
        self._wakeup: Any = hub.loop.async_(ref=False)
        self._wakeup.start(self._run_calls)
        self._references = 0

    @classmethod
    def current(cls) -> FrameLoop:
        """Return the loop of the calling thread's hub."""
        hub: Any = get_hub()
        loop = getattr(hub, "_geventkws_loop", None)
        if loop is None:
            loop = hub._geventkws_loop = cls(hub)
        return loop

    # Workers

    def lend(self, borrower: Borrower) -> None:
        """Let ``borrower`` work in a greenlet; return when it is done or has blocked. In the hub only."""
        if not self._references:
            self._references = self._count_references()
        worker = self._idle_worker()
        corking, self._corking = self._corking, True
        try:
            result, references = _run_batch(worker, borrower)
        finally:
            self._corking = corking
        if result is not _DONE:
            worker.away = True
        elif self._is_reusable(worker, references):
            if worker.gr_context is not None:
                worker.gr_context = None
            self._idle.append(worker)
        else:
            worker.switch(_RETIRE)

    def _idle_worker(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if not worker.dead:
                return worker
        return Worker(parent=self.hub)

    def _is_reusable(self, worker: Worker, references: int) -> bool:
        """Tell whether nothing of the batch clings to ``worker``, which never left during it.

        A ``gevent.local`` shows in its ``__dict__``; a pending ``Timeout``, a scheduled ``kill``
        or a link hold a reference.
        """
        if worker.dead or worker.__dict__ or len(self._idle) >= MAX_IDLE_WORKERS:
            return False
        return references <= self._references

    def _count_references(self) -> int:
        """Return how many references an untouched worker has: learnt from an empty batch."""
        worker = Worker(parent=self.hub)
        _, references = _run_batch(worker, _Nothing())
        worker.switch(_RETIRE)
        return references

    def resume(self, waiter: Waiter[None]) -> None:
        """Switch back into a greenlet that waits for a connection, corking what it sends. In the hub only."""
        corking, self._corking = self._corking, True
        try:
            waiter.switch(None)
        finally:
            self._corking = corking

    # Corking

    def cork(self, corked: Corked) -> None:
        """Flush ``corked`` when the running batch ends or blocks, or else in the hub's next turn."""
        self._corked.append(corked)
        if not self._corking and not self._flush_is_due:
            self._flush_is_due = True
            self.hub.loop.run_callback(self._flush_when_due)

    def flush(self) -> None:
        """Flush all corked connections."""
        while self._corked:
            corked, self._corked = self._corked, []
            for each in corked:
                each.flush()

    def _flush_when_due(self) -> None:
        self._flush_is_due = False
        self.flush()

    # Calls from other threads

    def is_foreign_thread(self) -> bool:
        """Tell whether the caller runs in another thread than this loop's hub."""
        return get_thread_id() != self.thread_id

    def call_from_thread(self, function: Callable[..., object], *args: Any) -> None:
        """Run ``function(*args)`` in the hub; calls from one thread keep their order."""
        with self.lock:
            self._calls.append((function, args))
            if len(self._calls) > 1:
                return
        self._wakeup.send()

    def _run_calls(self) -> None:
        corking, self._corking = self._corking, True
        try:
            while True:
                with self.lock:
                    if not self._calls:
                        break
                    calls, self._calls = self._calls, deque()
                for function, args in calls:
                    self.guard(function, *args)
        finally:
            self._corking = corking
        self.flush()

    def guard(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function`` so that nothing is raised into a watcher: the hub reports what is."""
        try:
            function(*args)
        except BaseException:
            self.hub.handle_error(self, *sys.exc_info())


class _Nothing:
    """Somebody with nothing to do."""

    def work(self) -> None:
        pass


def _run_batch(worker: Worker, borrower: Borrower) -> tuple[object, int]:
    """Let ``worker`` run until it is done or blocks; return its word and the references to it."""
    result = worker.switch(_LOAN, borrower)
    return result, sys.getrefcount(worker)
