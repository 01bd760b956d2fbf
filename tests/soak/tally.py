"""What the clients have seen, by kind of client, and the table of it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import gevent

from tests.soak.punctuality import Span, lateness

HEADING = (
    f"{'kind':10} {'lives':>7} {'messages':>9} {'lost':>6} {'doubled':>7} {'disorder':>8}"
    f" {'p99 ms':>8} {'max ms':>8}"
)


@dataclass(frozen=True)
class Delay:
    """Something that the server has done too late, or given up, between two times of ``monotonic``.

    It is no fault of the server if clients or links were late, or it had no CPU, for ``excuse`` seconds
    meanwhile.
    """

    what: str
    began: float
    ended: float
    excuse: float

    def holds(self, late: Sequence[Span]) -> bool:
        """Return whether it is to be held against the server, given the spans of these excuses."""
        return lateness(late, self.began, self.ended) < self.excuse


@dataclass
class Tally:
    """The counts of one kind of client, and how long those on good links waited, in seconds."""

    lives: int = 0
    messages: int = 0
    lost: int = 0
    doubled: int = 0
    disorder: int = 0
    waits: array[float] = field(default_factory=lambda: array("f"))
    complaints: list[str] = field(default_factory=list)
    delays: list[Delay] = field(default_factory=list)

    def attempt(self, beside: Callable[[float], str], until: float) -> str:
        """Do something until then; if it fails, complain, so that the table of all the others is shown."""
        try:
            return beside(until)
        except (Exception, gevent.Timeout) as error:
            self.complaints.append(f"failed: {error!r}")
            return ""

    def percentile(self, share: float) -> float:
        """Return the wait in seconds that this share of all did not exceed; 0 if there was none."""
        waits = sorted(self.waits)
        return waits[min(int(len(waits) * share), len(waits) - 1)] if waits else 0.0

    def line(self, kind: str) -> str:
        """Return a line of the table."""
        return (
            f"{kind:10} {self.lives:7} {self.messages:9} {self.lost:6} {self.doubled:7} {self.disorder:8}"
            f" {self.percentile(0.99) * 1000:8.1f} {self.percentile(1) * 1000:8.1f}"
        )


class Order:
    """Holds numbered messages of one connection to their order, and counts in ``tally`` what is wrong."""

    def __init__(self, tally: Tally, first: int = 0) -> None:
        self.taken = 0
        """How many messages have come."""
        self._tally = tally
        self._next = first
        self._missing: set[int] = set()

    def take(self, number: int) -> None:
        """Note that the message of this number has come."""
        self.taken += 1
        self._tally.messages += 1
        if number in self._missing:
            self._missing.discard(number)
            self._tally.disorder += 1
        elif number < self._next:
            self._tally.doubled += 1
        else:
            self._missing.update(range(self._next, number))
            self._next = number + 1

    @contextmanager
    def finished(self, end: Callable[[], int], lossless: bool) -> Iterator[None]:
        """Do ``finish`` at the end of a connection.

        If it ends in an error, that is a complaint of its own, or is excused, and only a gap is counted.
        """
        try:
            yield
        except BaseException:
            self.finish(end(), lossless=False)
            raise
        self.finish(end(), lossless)

    def finish(self, end: int, lossless: bool) -> None:
        """Count what is missing below ``end``; over a link that loses bytes, only what left a gap."""
        if lossless:
            self._missing.update(range(self._next, end))
        self._tally.lost += len(self._missing)


def table(tallies: Mapping[str, Tally]) -> str:
    """Return the table of all kinds."""
    return "\n".join((HEADING, *(tally.line(kind) for kind, tally in tallies.items())))
