"""Behind a proxy: each request that it has passed on is read once, and nothing else is read as a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import NamedTuple

import gevent
from gevent.pool import Pool

from tests.differential.dialogue import Dialogue, talk
from tests.differential.fronts import LONGER, NUMBER, Entry, Front
from tests.differential.mutations import Mutant
from tests.differential.ours import Ours, Read

AT_ONCE = 100
"""How many mutants are sent at the same time."""
BOUND = 3.0 * LONGER
"""Seconds after which a connection on which nothing moves should long have been ended by the proxy."""
SETTLED = 2.0
"""Seconds after which everything that has happened is known."""
UNANSWERED = ("502", "504", "sH", "SH", "sD", "SD")
"""The words in a proxy's log that say that we gave no answer, or broke off."""


class Fault(NamedTuple):
    """What is wrong, and with what the proxy has passed on (``""`` if it has not)."""

    what: str
    passed_on: str = ""
    late: bool = False
    """Whether it may be the fault of a busy machine."""


class Finding(NamedTuple):
    """What is wrong with a mutant; ``None`` instead of it if none shows it alone."""

    what: str
    mutant: Mutant | None
    late: bool = False


def faults(entries: Iterable[Entry], requests: Sequence[Read], opened: Sequence[str]) -> Iterator[Fault]:
    """Yield what is wrong, given what a proxy has logged, and which requests and handshakes were read."""
    yield from _never_passed_on(requests, opened)
    for passed_on, times in Counter([*(each.passed_on for each in requests), *opened]).items():
        if NUMBER.fullmatch(passed_on) and times > 1:
            yield Fault(f"passed on once, but read {times} times", passed_on)
    for each in requests:
        if b"x-passed-on" in each.body.lower():
            yield Fault("passed on as two requests, but read as one", each.passed_on)
    unfinished = {each.passed_on for each in requests if not each.finished}
    for entry in entries:
        yield from _badly_answered(entry, entry.passed_on in opened, entry.passed_on in unfinished)


def _never_passed_on(requests: Sequence[Read], opened: Sequence[str]) -> Iterator[Fault]:
    """Yield what was read in excess: the fault of what was last passed on along that connection."""
    before: dict[str, str] = {}
    for each in requests:
        if NUMBER.fullmatch(each.passed_on):
            before[each.connection] = each.passed_on
        else:
            what = f"read as a request, but not passed on as one ({each.passed_on!r})"
            yield Fault(what, before.get(each.connection, ""))
    for passed_on in opened:
        if not NUMBER.fullmatch(passed_on):
            yield Fault(f"opened, but not passed on ({passed_on!r})")


def _badly_answered(entry: Entry, opened: bool, unfinished: bool) -> Iterator[Fault]:
    if entry.read not in ("", "-") and entry.read.split(" ")[0] != entry.passed_on:
        yield Fault(f"answered by what was read of another ({entry.read})", entry.passed_on)
    words = entry.status.split(" ")
    if not opened and not unfinished and any(word in UNANSWERED for word in words):
        yield Fault(f"passed on, but not answered ({entry.status})", entry.passed_on, late=True)
    if (words[0] == "101") != opened:
        yield Fault(f"the status is {words[0]}, but the handshake is not what that says", entry.passed_on)


class Passage:
    """The way through a proxy to our server, and all that has come along it."""

    def __init__(self, front: Front, ours: Ours) -> None:
        self._front = front
        self._ours = ours
        self._known: Counter[Fault] = Counter()

    def findings(self, mutants: Sequence[Mutant]) -> Iterator[Finding]:
        """Send mutants, and those that may be at fault again, each alone; yield what is wrong."""
        first = self._send(mutants)
        senders = dict.fromkeys(found.mutant for found in first)
        again = [found for sender in senders if sender is not None for found in self._send([sender])]
        yield from again or [found for found in first if not found.late]

    def _send(self, mutants: Sequence[Mutant]) -> list[Finding]:
        """Send mutants at the same time, and return what is wrong."""
        dialogues: list[Dialogue] = Pool(AT_ONCE).map(self._talk, mutants)
        senders = {str(dialogue.client): mutant for dialogue, mutant in zip(dialogues, mutants, strict=True)}
        found = [
            Finding("it never ends", senders[str(each.client)], late=True)
            for each in dialogues
            if not each.ended
        ]
        for fault in self._faults():
            found.append(Finding(fault.what, senders.get(fault.passed_on.partition("-")[0]), fault.late))
        return found

    def _talk(self, mutant: Mutant) -> Dialogue:
        return talk(self._front.port, [mutant.data], BOUND)

    def _faults(self) -> list[Fault]:
        """Return what is wrong that was not before, and stays so: the last entries may come late."""
        end = monotonic() + SETTLED
        while new := Counter(self._all_faults()) - self._known:
            if monotonic() > end:
                break
            gevent.sleep(0.1)
        self._known += new
        return list(new)

    def _all_faults(self) -> Iterator[Fault]:
        return faults(self._front.entries(), self._ours.requests, self._ours.opened)
