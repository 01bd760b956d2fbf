"""Whether a process got its CPU time: what was late because of a client says nothing about the server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import monotonic

import gevent

TICK = 0.1
"""Seconds between two looks at the clock, and the lateness that is overlooked."""

GLANCE = 0.5
"""Seconds between two looks at how long another process has waited for a CPU."""

Span = tuple[float, float]
"""Two times of ``monotonic``, which all processes of a machine share."""


class Punctuality:
    """Watches how late the loop of this process is, from now on; ``late`` has the spans in which it was."""

    def __init__(self) -> None:
        self.late: list[Span] = []
        self._watching = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Watch no longer."""
        self._watching.kill()

    def _watch(self) -> None:
        while True:
            due = monotonic() + TICK
            gevent.sleep(TICK)
            if (now := monotonic()) > due + TICK:
                self.late.append((due, now))


class Starvation:
    """Watches another process wait for a CPU, from now on; the spans of ``late`` add up to this time.

    A process that keeps its loop from turning by what it does is not late in this sense.
    """

    def __init__(self, process: int) -> None:
        self.late: list[Span] = []
        self._process = process
        self._watching = gevent.spawn(self._watch)

    def stop(self) -> None:
        """Watch no longer."""
        self._watching.kill()

    def _watch(self) -> None:
        before = waited_for_cpu(self._process)
        while True:
            gevent.sleep(GLANCE)
            now, waited = monotonic(), waited_for_cpu(self._process)
            self.late.append((now - (waited - before), now))
            before = waited


def waited_for_cpu(process: int) -> float:
    """Return how many seconds the main thread of a process could have run, but had no CPU to run on.

    It is 0 if the kernel does not say (Documentation/scheduler/sched-stats.rst of Linux).
    """
    try:
        _, nanoseconds, _ = Path(f"/proc/{process}/schedstat").read_text().split()
    except FileNotFoundError:
        return 0.0
    return int(nanoseconds) / 1e9


def duration(spans: Iterable[Span]) -> float:
    """Return how many seconds the spans last together."""
    return sum(end - start for start, end in spans)


def look_up_at_once() -> None:
    """Let this process look up addresses, which are all numeric here, in its own thread.

    gevent asks other threads, which wait for a busy one to let go of the interpreter: many clients that
    connect wait for seconds, in which the loop of their process is not late.
    """
    gevent.config.resolver = "block"


def lateness(late: Iterable[Span], began: float, ended: float) -> float:
    """Return how many seconds between two times lie in the spans ``late``."""
    return sum(max(0.0, min(end, ended) - max(start, began)) for start, end in late)
