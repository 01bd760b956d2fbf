"""What the log was told of a service: a mistake is worth one line, not one for each client."""

from __future__ import annotations

from collections.abc import Hashable

MAX_TOLD = 100
"""Things that are told of one service; some of them, such as origins, strangers can make up."""

_MEMORY = "_geventkws_told"


def first_time(service: object, what: Hashable) -> bool:
    """Return whether ``what`` is to be told of ``service`` now: it never was, and not too much has been.

    The memory is the service's own, and ends with it.
    """
    told = _told(service)
    if what in told or len(told) >= MAX_TOLD:
        return False
    told.add(what)
    return True


def remember_together(service: object, other: object) -> None:
    """Let ``other``, which stands for ``service``, have its memory."""
    vars(other)[_MEMORY] = _told(service)


def _told(service: object) -> set[Hashable]:
    told: set[Hashable] = vars(service).setdefault(_MEMORY, set())
    return told
