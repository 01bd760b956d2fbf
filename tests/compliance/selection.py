"""Which cases to run, and how to divide them among fuzzing clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.compliance.evaluation import Case

FIRST_LONG_GROUP = 12
"""From here on, each case sends a thousand compressed messages: various data or parameters, in 18 sizes."""
SHARE = 6


def sample(cases: Iterable[Case]) -> list[Case]:
    """Return ``cases`` with one in six of the long ones, in which all data, parameters and sizes occur."""
    return [case for case in cases if not _long(case) or (case.number[2] - case.number[1]) % SHARE == 0]


def _long(case: Case) -> bool:
    return case.number[0] >= FIRST_LONG_GROUP


def parts(cases: Sequence[Case], most: int, clients: int) -> list[Sequence[Case]]:
    """Divide ``cases`` into parts of at most ``most``, enough for all ``clients``, that take similar times.

    Neighbours are similar, and so go into different parts.
    """
    number = min(len(cases), max(clients, -(-len(cases) // most)))
    return [cases[first::number] for first in range(number)]
