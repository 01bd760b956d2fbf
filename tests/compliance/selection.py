"""Which cases to run, and how to divide them among fuzzing clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.compliance.evaluation import Case

FIRST_LONG_GROUP = 12
"""From here on, each case sends a thousand compressed messages: various data or parameters, in 18 sizes."""
KINDS_OF_DATA = 5
"""The long cases are 12.1 to 12.5, a kind of data each, and 13.1 to 13.7, a set of parameters each."""
SIZES = 18
STEP = 5
"""From one kind to the next, the size goes up by this: it shares no factor with ``SIZES``, so none recurs."""


def sample(cases: Iterable[Case]) -> list[Case]:
    """Return ``cases`` with one of the long ones for each kind of data and for each set of parameters."""
    return [case for case in cases if not _long(case) or _chosen(*case.number)]


def _chosen(group: int, kind: int, size: int) -> bool:
    ordinal = kind if group == FIRST_LONG_GROUP else KINDS_OF_DATA + kind
    return size % SIZES == STEP * ordinal % SIZES


def _long(case: Case) -> bool:
    return case.number[0] >= FIRST_LONG_GROUP


def parts(cases: Sequence[Case], most: int, clients: int) -> list[Sequence[Case]]:
    """Divide ``cases`` into parts of at most ``most``, enough for all ``clients``, that take similar times.

    Neighbours are similar, and so go into different parts.
    """
    number = min(len(cases), max(clients, -(-len(cases) // most)))
    return [cases[first::number] for first in range(number)]
