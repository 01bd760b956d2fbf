"""How long something took, counted where it happens and read by the metrics."""

from __future__ import annotations

from geventkws.backend import use_compiled

BOUNDS = [1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
"""The upper bound of each bucket, in seconds; one more bucket counts whatever took longer."""

LIMITED = len(BOUNDS)


class Durations:
    """A histogram of durations."""

    __slots__ = ("_counts", "seconds")

    def __init__(self) -> None:
        # In the compiled form this is an array, to which only a list of its length can be assigned.
        self._counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        self.seconds = 0.0
        """The sum of all durations."""

    def observe(self, seconds: float) -> None:
        """Count something that took ``seconds``."""
        bucket = 0
        while bucket < LIMITED and seconds > BOUNDS[bucket]:
            bucket += 1
        self._counts[bucket] += 1
        self.seconds += seconds

    def counts(self) -> list[int]:
        """Return the count of each bucket."""
        return list(self._counts)


use_compiled(__name__, globals())
