"""What a hub is like to those who wait for it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from geventkws.loop.durations import Durations
from geventkws.loop.loop import Loop

INTERVAL = 0.1
"""Seconds between two looks at how late the hub is."""


class HubClock:
    """A timer whose delay is that of everybody."""

    def __init__(self, loop: Loop, delays: Durations, on_tick: Callable[[float], object]) -> None:
        """Put the delays into ``delays``; ``on_tick`` is called each time with the time. In the hub."""
        self._loop = loop
        self._delays = delays
        self._on_tick = on_tick
        self._due = 0.0
        self._timer: Any = None

    def start(self) -> None:
        """Begin, without keeping the hub alive by it."""
        self._timer = self._loop.hub.loop.timer(INTERVAL, INTERVAL, ref=False)
        self._wait()

    def stop(self) -> None:
        """End. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _wait(self) -> None:
        # From now on, however late the last time was: each delay is counted by itself. libuv would count
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
    """Return how many tasks of the hub's thread pool no thread has begun."""
    pool = _pool(loop)
    return 0 if pool is None else int(pool.task_queue.qsize())


def threads(loop: Loop) -> int:
    """Return how many threads the hub's thread pool has."""
    pool = _pool(loop)
    return 0 if pool is None else int(pool.size)


def _pool(loop: Loop) -> Any:
    # Not ``hub.threadpool``, which makes one.
    return getattr(loop.hub, "_threadpool", None)
