"""What the channels of this process have done so far, for its metrics and its health check."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

from geventkws.loop.durations import Durations
from geventkws.loop.loop import allocate_lock


class Watched(Protocol):
    """The channels of one ``PubSub``."""

    @property
    def is_deaf(self) -> bool:
        """Whether what others publish does not arrive now."""

    def sizes(self) -> tuple[int, int]:
        """Return how many channels somebody here has subscribed or listens to, and how many subscriptions."""


class Tally:
    """The counts of a process. In any thread."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at 0, in a process that has just been forked."""
        self._lock = allocate_lock()
        self._watched: WeakSet[Watched] = WeakSet()
        self.publications = self.deliveries = self.dropped = self.losses = self.reconnections = 0
        self.delays = Durations()
        """How long messages of this process to itself took."""

    def watch(self, watched: Watched) -> None:
        """Include the channels of a ``PubSub`` for as long as it exists."""
        with self._lock:
            self._watched.add(watched)

    def published(self) -> None:
        """Count a message that was published here."""
        with self._lock:
            self.publications += 1

    def delivered(self, count: int) -> None:
        """Count a message that was given to this many subscribers and listeners."""
        with self._lock:
            self.deliveries += count

    @property
    def deaf(self) -> int:
        """How many ``PubSub`` do not hear what other processes publish."""
        return sum(each.is_deaf for each in self._all())

    def sizes(self) -> tuple[int, int]:
        """Return how many channels and subscriptions there are now."""
        sizes = [each.sizes() for each in self._all()]
        return sum(channels for channels, _ in sizes), sum(subscriptions for _, subscriptions in sizes)

    def _all(self) -> list[Watched]:
        with self._lock:
            return list(self._watched)


TALLY = Tally()

os.register_at_fork(after_in_child=TALLY.reset)
