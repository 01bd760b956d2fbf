"""Which cases to run, and how to divide them among fuzzing clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.compliance.evaluation import Case

FIRST_LONG_GROUP = 12
"""From here on, each case sends a thousand compressed messages: various data or parameters, in 18 sizes."""
SHARE = 18
"""A sample has one long case in so many: one size of each kind."""
STEP = 5
"""From one kind to the next, the size that is chosen goes up by so much, and begins again after the last."""


def sample(cases: Iterable[Case]) -> list[Case]:
    """Return ``cases`` with one of the long ones for each kind of data and for each set of parameters.

    The sizes differ: from 12.1.5 and 12.2.10 to 13.7.8.
    """
    return [case for case in cases if not _long(case) or _chosen(*case.number)]


def _chosen(group: int, kind: int, size: int) -> bool:
    return (size - STEP * kind - SHARE // 2 * (group - FIRST_LONG_GROUP)) % SHARE == 0


def _long(case: Case) -> bool:
    return case.number[0] >= FIRST_LONG_GROUP


def parts(cases: Sequence[Case], most: int, clients: int) -> list[Sequence[Case]]:
    """Divide ``cases`` into parts of at most ``most``, enough for all ``clients``, that take similar times.

    Neighbours are similar, and so go into different parts.
    """
    number = min(len(cases), max(clients, -(-len(cases) // most)))
    return [cases[first::number] for first in range(number)]
