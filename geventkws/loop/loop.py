"""The loop of one hub, which all its connections share, HTTP and WebSocket alike.

A connection holds a greenlet only while its application or service has something to do: the hub lends it
one (``lend``), the idle worker or a new one, and takes it back. What is sent meanwhile, to any connection,
waits (``cork``) and leaves in one ``send`` per connection (``flush``).

No connection may hold up another. What a connection does without waiting is a *turn*, which ends after
``TURN`` seconds: the rest of its input then waits in memory, and the connection waits in the ready queue.
Between two polls of the event loop, the turns of all connections together take one ``SLICE``. So nobody waits
longer because more connections have more to do.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from gevent import Greenlet, get_hub, getcurrent, monkey
from gevent.hub import Hub, Waiter

from geventkws.backend import use_compiled
from geventkws.loop import leaf, roles
from geventkws.loop.workers import DONE, LOAN, RETIRE, Borrower, Idler, Worker

logger = logging.getLogger("geventkws.server")

allocate_lock: Callable[[], Any] = monkey.get_original("_thread", "allocate_lock")

RECEIVE_BUFFER_SIZE = 256 * 1024
"""The size in bytes of the buffer that all connections of a hub receive into."""

CROWDED_READ = 16 * 1024
"""Bytes that a connection receives at once while ``CROWD`` others wait: what it cannot handle now is kept."""

CROWD = 16
"""How many connections must be waiting for another turn before each receives less at once."""

TURN = 0.000_2
"""Seconds after which a connection lets others have their turn. It looks at the clock after every call of the
application or service, and after every few dozen frames."""

SLICE = 0.005
"""Seconds that the turns of all connections may take together between two polls of the event loop."""

KEPT_MEMORY = 16 * 1024 * 1024
"""Bytes of free memory that glibc is to keep for the messages to come.

Returning the memory of each long message, and mapping it anew for the next, costs a fifth of its time.
"""


class Queued(Protocol):
    """Something that waits for its turn."""

    def proceed(self) -> None:
        """Go on, until ``turn_is_over``. Never raises."""


class Loop:
    """One hub's idle worker, receive buffer, corked connections, ready queue and calls from other threads."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.buffer = leaf.Buffer(bytearray(RECEIVE_BUFFER_SIZE))
        self.thread_id = leaf.thread_id()
        self.stops_at_errors = "libuv" in type(hub.loop).__module__
        """Whether the event loop stops watching a descriptor after an error on it."""
        self.corking = False
        """Whether a batch is running: its caller flushes when it ends or blocks."""
        self.now = leaf.monotonic()
        """When the running turn began."""
        self._idle: Worker | None = None  # one is enough: it comes back only if it never blocked
        self._corked: list[roles.Corked] = []
        self._flush_is_due = False
        self._references = 0
        # Those who ask for little (fresh) wait neither for the greedy (waiting) nor for a crowd (new).
        self._fresh: deque[Queued] = deque()
        self._new: deque[Queued] = deque()
        self._waiting: deque[Queued] = deque()
        self._turn_ends = 0.0
        self._spent = 0.0
        # An ``async`` watcher is called once per poll, unlike a callback of the loop.
        self._poll: Any = hub.loop.async_(ref=False)
        self._poll.start(self._grant)
        self.lock = allocate_lock()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # A hub that has nothing else to wait for must not be kept alive by the watcher.
        self._wakeup: Any = hub.loop.async_(ref=False)
        self._wakeup.start(self._run_calls)
        # glibc keeps twice the size of the largest block that was mapped and freed (mallopt(3),
        # M_MMAP_THRESHOLD). Nothing is ever written to this one, so it takes no memory.
        bytes(KEPT_MEMORY // 2)

    def close(self) -> None:
        """Close the watchers. Idempotent. Nothing may be queued or called afterwards."""
        self._poll.close()
        self._wakeup.close()

    def __del__(self) -> None:
        # The loop ends with its hub, for example when a thread has ended.
        self.close()

    @classmethod
    def current(cls) -> Loop:
        """Return the loop of the calling thread's hub."""
        hub: Any = get_hub()
        loop = getattr(hub, "_geventkws_loop", None)
        if loop is None:
            loop = hub._geventkws_loop = cls(hub)
        return loop

    def is_foreign_thread(self) -> bool:
        """Return whether the caller runs in a thread other than that of this loop's hub."""
        return leaf.thread_id() != self.thread_id

    # Turns

    def begin_turn(self) -> bool:
        """Begin the turn of a connection that has news; return ``False`` if it must queue. In the hub."""
        self.now = now = leaf.monotonic()
        if self._spent >= SLICE:
            return False
        self._turn_ends = now + TURN
        return True

    def is_at_leisure(self) -> bool:
        """Return whether a turn can begin at once: nobody waits, there is time, and the caller is the hub."""
        return self._spent < SLICE and not self._somebody_waits() and getcurrent() is self.hub

    def end_turn(self) -> None:
        """End what ``begin_turn`` began."""
        self._spent += leaf.monotonic() - self.now

    def turn_is_over(self) -> bool:
        """Return whether the running turn is over, so that others may have theirs."""
        return leaf.monotonic() >= self._turn_ends

    def ends_turn(self, now: float) -> bool:
        """Do what ``turn_is_over`` does, for a caller that knows the time."""
        return now >= self._turn_ends

    def queue(self, queued: Queued, fresh: bool = False, new: bool = False) -> None:
        """Let ``queued`` proceed when its turn comes.

        Whoever has news (``fresh``) comes before those without; ``new`` ones and others with news alternate.
        """
        if not self._somebody_waits():
            self._poll.send()
        if fresh:
            (self._new if new else self._fresh).append(queued)
        else:
            self._waiting.append(queued)

    def _somebody_waits(self) -> bool:
        return bool(self._fresh or self._new or self._waiting)

    def is_crowded(self) -> bool:
        """Return whether so many connections wait for another turn that each should keep little in memory."""
        return len(self._waiting) >= CROWD

    def wait_for_turn(self) -> None:
        """Let others have their turn; return when it is the caller's again. In a greenlet."""
        parked = _Parked(self, Waiter(self.hub))
        self.queue(parked)
        parked.waiter.get()

    def take_turn(self) -> None:
        """Wait for a turn if the running one is over; do nothing in the hub, which cannot wait."""
        if leaf.monotonic() >= self._turn_ends and getcurrent() is not self.hub:
            self.wait_for_turn()

    def _grant(self) -> None:
        """Grant turns for one slice of time."""
        self._spent = 0.0
        self.now = now = leaf.monotonic()
        end = now + SLICE
        # One of those without news gets a turn, even if connections with news use up the slice.
        self._grant_one(self._waiting)
        while self._somebody_waits() and leaf.monotonic() < end:
            self._grant_one(self._fresh or self._new or self._waiting)
            self._grant_one(self._new)
        self.flush()
        if self._somebody_waits():
            self._poll.send()

    def _grant_one(self, queue: deque[Queued]) -> None:
        if queue:
            self.now = leaf.monotonic()
            self._turn_ends = self.now + TURN
            queue.popleft().proceed()

    # Workers

    def lend(self, borrower: Borrower) -> None:
        """Lend ``borrower`` a greenlet to work in; return when it is done or has blocked. In the hub."""
        if not self._references:
            self._references = self._count_references()
        worker = self._idle_worker()
        corking, self.corking = self.corking, True
        try:
            result = worker.switch(LOAN, borrower)
            references = leaf.references(worker)
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

    def call_in_worker(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function``, which may wait, where it can. In the hub."""
        self.lend(_Call(self, partial(function, *args)))

    def _idle_worker(self) -> Worker:
        worker, self._idle = self._idle, None
        return self._new_worker() if worker is None or worker.dead else worker

    def _new_worker(self) -> Worker:
        """Return a worker that waits for its first loan: a greenlet keeps what it was started with."""
        worker = Worker(parent=self.hub)
        worker.switch()
        return worker

    def _is_reusable(self, worker: Worker, references: int) -> bool:
        """Return whether the batch, during which ``worker`` never switched away, has left nothing on it.

        A ``gevent.local`` shows in its ``__dict__``; a pending ``Timeout``, a scheduled ``kill``
        or a link holds a reference.
        """
        return not worker.dead and not worker.__dict__ and references <= self._references

    def _count_references(self) -> int:
        """Return how many references there are to an untouched worker, as seen after an empty batch."""
        worker = self._new_worker()
        worker.switch(LOAN, Idler())
        references = leaf.references(worker)
        worker.switch(RETIRE)
        return references

    def resume(self, waiter: Waiter[None]) -> None:
        """Switch back to a greenlet that waits for its connection, corking what it sends. In the hub."""
        corking, self.corking = self.corking, True
        try:
            waiter.switch(None)
        finally:
            self.corking = corking

    # Corking

    def cork(self, corked: roles.Corked) -> None:
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
            corked, self._corked = self._corked, []
            for each in corked:
                each.flush()

    def _flush_when_due(self) -> None:
        self._flush_is_due = False
        self.flush()

    # Calls from other threads

    def call_from_thread(self, function: Callable[..., object], *args: Any) -> bool:
        """Run ``function(*args)`` in the hub; calls from one thread keep their order.

        Returns ``False`` if the hub no longer exists.
        """
        with self.lock:
            self._calls.append((function, args))
            if len(self._calls) > 1:
                return True  # whoever put the first call there wakes the hub
        try:
            self._wakeup.send()
        except Exception:  # the loop has been destroyed; libev and libuv say it differently
            with self.lock:
                self._calls.clear()
            return False
        return True

    def wait_for_call(self, function: Callable[..., object], *args: Any) -> None:
        """Run ``function(*args)``, which may wait, in a greenlet of the hub, and return when it has returned.

        For other threads. Raises what ``function`` raises, and ``RuntimeError`` if the hub no longer exists.
        """
        done = allocate_lock()
        done.acquire()
        raised: list[BaseException] = []

        def call() -> None:
            try:
                function(*args)
            except BaseException as error:
                raised.append(error)
            finally:
                done.release()

        if not self.call_from_thread(Greenlet.spawn, call):
            raise RuntimeError("the thread of the server has ended, and its hub with it")
        done.acquire()
        if raised:
            raise raised.pop()  # its traceback leads to this frame: kept in the list, it would be a cycle

    def waiting_calls(self) -> int:
        """Return how many calls from other threads the hub has not made yet."""
        return len(self._calls)

    def _run_calls(self) -> None:
        # What threads add from here on wakes the hub again, so that they cannot keep it from everything else.
        with self.lock:
            calls, self._calls = self._calls, deque()
        corking, self.corking = self.corking, True
        try:
            for function, args in calls:
                self.guard(function, *args)
        finally:
            self.corking = corking
        self.flush()

    def go_on_after_fork(self) -> None:
        """Let a child process go on without the parent's other threads, which do not exist in it.

        One of them may have held the lock, and nobody waits any longer for the calls that they had made. At a
        fork, libuv forgets which watchers it was about to call.
        """
        self.lock = allocate_lock()
        self._calls.clear()
        if self._somebody_waits():
            self.hub.loop.run_callback(self._grant)

    # Mistakes

    def guard(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function`` without raising anything into a watcher: errors go to the hub's error handler."""
        try:
            function(*args)
        except BaseException as error:
            self.report(error)

    def explain(self, error: BaseException) -> None:
        """Log why a connection is dropped, unless it is the peer's doing (``OSError``)."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.report(error)
        elif not isinstance(error, OSError):
            self.guard(partial(logger.error, "internal error; the connection is dropped", exc_info=error))

    def report(self, error: BaseException) -> None:
        """Give ``error`` to the hub's error handler: ``SystemExit`` or ``KeyboardInterrupt`` end the program.

        This happens in the hub's next turn, since the handler may switch to the main greenlet and stay there.
        """
        self.hub.loop.run_callback(self.hub.handle_error, self, type(error), error, error.__traceback__)


class _Call:
    """Borrows a worker for one call."""

    def __init__(self, loop: Loop, function: Callable[[], object]) -> None:
        self._loop = loop
        self._function = function

    def _work(self) -> None:
        self._loop.guard(self._function)

    def _blocked(self, worker: object) -> None:
        """Do nothing: nobody waits for the call."""


class _Parked:
    """A greenlet that is waiting for its turn."""

    def __init__(self, loop: Loop, waiter: Waiter[None]) -> None:
        self.waiter = waiter
        self._loop = loop

    def proceed(self) -> None:
        self._loop.resume(self.waiter)


use_compiled(__name__, globals())
