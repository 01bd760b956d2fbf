"""How often something took how long: counted where it happens, for whoever asks later."""

from __future__ import annotations

from geventkws.backend import use_compiled

BOUNDS = [1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
"""The greatest number of seconds in each bucket; one more is for all that takes longer."""

LIMITED = len(BOUNDS)


class Durations:
    """A histogram of seconds."""

    __slots__ = ("_counts", "seconds")

    def __init__(self) -> None:
        # In the compiled form this is an array, to which only a list of its length can be assigned.
        self._counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        self.seconds = 0.0
        """All of them together."""

    def observe(self, seconds: float) -> None:
        """Count something that took so many seconds."""
        bucket = 0
        while bucket < LIMITED and seconds > BOUNDS[bucket]:
            bucket += 1
        self._counts[bucket] += 1
        self.seconds += seconds

    def counts(self) -> list[int]:
        """Return how many there were in each bucket."""
        return list(self._counts)


use_compiled(__name__, globals())
