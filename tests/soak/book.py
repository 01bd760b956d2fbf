"""What was published on a channel, and what one of its subscribers is sent: each once, or it is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.soak.tally import Order, Tally

Place = tuple[int, str]
"""A position: an offset and an epoch."""
Entry = tuple[Place, str]
"""A place and what is there."""


class Book:
    """Each publication by its place, on which all who know of it must agree.

    A publication is the name of its publisher and a number, which counts those of this publisher.
    """

    def __init__(self) -> None:
        self.published = 0
        """How many publishers had an answer."""
        self.told = 0
        """How often subscribers were told that they miss something."""
        self._messages: dict[Place, str] = {}
        self._conflicts: list[str] = []

    def enter(self, place: Place, message: str) -> None:
        """Note that somebody says what is at a place."""
        if (known := self._messages.setdefault(place, message)) != message:
            self._conflicts.append(f"{known!r} and {message!r} are both said to be at {place}")

    def complaints(self) -> Iterator[str]:
        """Yield where subscribers disagree, and where publications of one publisher do not follow another."""
        yield from self._conflicts
        lines: dict[tuple[str, str], list[int]] = {}
        for (_, epoch), message in sorted(self._messages.items()):
            name, number = message.split()
            lines.setdefault((epoch, name), []).append(int(number))
        for (_, name), numbers in lines.items():
            for one, other in pairwise(numbers):
                if other != one + 1:
                    yield f"publication {other} of {name} came after {one}"


class Reading:
    """What one subscriber has been sent, and up to which ``place``, from where it comes back."""

    def __init__(self, book: Book, tally: Tally) -> None:
        self.place: Place | None = None
        self._book = book
        self._tally = tally
        self._order = Order(tally)

    def begin(self, place: Place, recovered: bool, early: Sequence[Entry]) -> None:
        """Note how a subscription begins: it goes on if recovered, or else is new.

        ``early`` are the messages that came before the server said so: up to ``place``, or beyond.
        """
        if not recovered:
            offset = min([place[0], *(first - 1 for (first, _), _ in early[:1])])
            self._begin_anew((offset, place[1]))
        for entry in early:
            self.take(*entry)

    def _begin_anew(self, place: Place) -> None:
        if self.place is not None:
            self._book.told += 1
            if self.place[1] == place[1]:
                self._tally.complaints.append(f"told that something is missing, which is not, at {place}")
        self.finish()
        self._order = Order(self._tally, place[0] + 1)
        self.place = place

    def take(self, place: Place, message: str) -> None:
        """Note a message."""
        if self.place is None or self.place[1] != place[1]:
            self._tally.complaints.append(f"{place} came after {self.place}, and nobody told")
        self._book.enter(place, message)
        self._order.take(place[0])
        self.place = place

    def finish(self) -> None:
        """Count what is missing."""
        self._order.finish(0, lossless=False)
