"""How long a hub makes others wait."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from geventkws.loop.durations import Durations
from geventkws.loop.loop import Loop

INTERVAL = 0.1
"""Seconds between two measurements of how late the hub is."""


class HubClock:
    """A timer that is as late as everything else in its hub."""

    def __init__(self, loop: Loop, delays: Durations, on_tick: Callable[[float], object]) -> None:
        """Record the delays in ``delays``; each time, call ``on_tick`` with the time. In the hub."""
        self._loop = loop
        self._delays = delays
        self._on_tick = on_tick
        self._due = 0.0
        self._timer: Any = None

    def start(self) -> None:
        """Start the timer, which does not keep the hub alive."""
        self._timer = self._loop.hub.loop.timer(INTERVAL, INTERVAL, ref=False)
        self._wait()

    def stop(self) -> None:
        """Stop the timer. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _wait(self) -> None:
        # From now on, however late the last tick was: each delay is measured separately. libuv would count
        # from when it last looked at the clock.
        self._loop.hub.loop.update_now()
        self._due = monotonic() + INTERVAL
        self._timer.again(self._tick)

    def _tick(self) -> None:
        now = monotonic()
        self._delays.observe(max(0.0, now - self._due))
        self._loop.guard(self._on_tick, now)
        if self._timer is not None:
            self._wait()


def waiting_tasks(loop: Loop) -> int:
    """Return how many tasks in the hub's thread pool no thread has begun."""
    pool = _pool(loop)
    return 0 if pool is None else int(pool.task_queue.qsize())


def threads(loop: Loop) -> int:
    """Return how many threads the hub's thread pool has."""
    pool = _pool(loop)
    return 0 if pool is None else int(pool.size)


def _pool(loop: Loop) -> Any:
    # ``hub.threadpool`` would make one.
    return getattr(loop.hub, "_threadpool", None)
