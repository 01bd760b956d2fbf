"""Whether a process got its CPU time: what was late because of a client says nothing about the server."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic

import gevent

TICK = 0.1
"""Seconds between two looks at the clock, and the lateness that is overlooked."""

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


def look_up_at_once() -> None:
    """Let this process look up addresses, which are all numeric here, in its own thread.

    gevent asks other threads, which wait for a busy one to let go of the interpreter: many clients that
    connect wait for seconds, in which the loop of their process is not late.
    """
    gevent.config.resolver = "block"


def lateness(late: Iterable[Span], began: float, ended: float) -> float:
    """Return how many seconds between two times lie in the spans ``late``."""
    return sum(max(0.0, min(end, ended) - max(start, began)) for start, end in late)
