"""The loop of one hub, which all its connections share, HTTP and WebSocket alike.

A connection holds a greenlet only while its application or service has something to do: the hub lends it
one (``lend``), the idle worker or a new one, and takes it back. What is sent meanwhile, to whatever
connection, waits (``cork``) and leaves in one ``send`` per connection (``flush``). All that is done for every
message is in ``loop``; here is what is needed less often.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from gevent import Greenlet, get_hub, monkey
from gevent.hub import Hub

from geventkws.backend import Loop

logger = logging.getLogger("geventkws.server")

allocate_lock: Callable[[], Any] = monkey.get_original("_thread", "allocate_lock")

KEPT_MEMORY = 16 * 1024 * 1024
"""Bytes of free memory that glibc shall keep for the messages to come.

Giving back what each long message took, and mapping it anew for the next, costs a fifth of its time.
"""


class HubLoop(Loop):
    """One hub's worker, receive buffer, corked connections, ready queue and calls from other threads."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.lock = allocate_lock()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        # glibc keeps twice the size of the largest block that was mapped and freed (mallopt(3),
        # M_MMAP_THRESHOLD). This one is never written to, so it takes no memory.
        bytes(KEPT_MEMORY // 2)
        # The watcher must not keep a hub alive that has nothing else to wait for.
        self._wakeup: Any = hub.loop.async_(ref=False)
        self._wakeup.start(self._run_calls)

    @classmethod
    def current(cls) -> HubLoop:
        """Return the loop of the calling thread's hub."""
        hub: Any = get_hub()
        loop = getattr(hub, "_geventkws_loop", None)
        if loop is None:
            loop = hub._geventkws_loop = cls(hub)
        return loop

    # Calls from other threads

    def call_from_thread(self, function: Callable[..., object], *args: Any) -> bool:
        """Run ``function(*args)`` in the hub; calls from one thread keep their order.

        Returns ``False`` if the hub does not exist any more.
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

        For other threads. Raises what ``function`` raises, and ``RuntimeError`` if the hub does not exist any
        more.
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
            raise raised[0]

    def _run_calls(self) -> None:
        # What threads add from here on wakes the hub again: they cannot keep it from everything else.
        with self.lock:
            calls, self._calls = self._calls, deque()
        corking, self.corking = self.corking, True
        try:
            for function, args in calls:
                self.guard(function, *args)
        finally:
            self.corking = corking
        self.flush()

    # Mistakes

    def guard(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function`` so that nothing is raised into a watcher: the hub reports what is."""
        try:
            function(*args)
        except BaseException as error:
            self.report(error)

    def explain(self, error: BaseException) -> None:
        """Say why a connection is dropped; of what a peer does (``OSError``) nothing need be said."""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            self.report(error)
        elif not isinstance(error, OSError):
            self.guard(partial(logger.error, "internal error; the connection is dropped", exc_info=error))

    def report(self, error: BaseException) -> None:
        """Give ``error`` to the hub's error handler; ``SystemExit``, ``KeyboardInterrupt`` end the program.

        In the hub's next turn, since the handler may switch to the main greenlet and stay there.
        """
        self.hub.loop.run_callback(self.hub.handle_error, self, type(error), error, error.__traceback__)
