"""What has been logged about a service: a mistake deserves one line, not one for each client."""

from __future__ import annotations

from collections.abc import Hashable

MAX_TOLD = 100
"""The most that is logged about one service; some of it, such as origins, strangers can make up."""

_MEMORY = "_geventkws_told"


def first_time(service: object, what: Hashable) -> bool:
    """Return whether to log ``what`` about ``service``: not yet logged, and the limit has not been reached.

    This is remembered in the service itself, for as long as the service exists.
    """
    told = _told(service)
    if what in told or len(told) >= MAX_TOLD:
        return False
    told.add(what)
    return True


def remember_together(service: object, other: object) -> None:
    """Let ``other``, which stands for ``service``, share its memory of what has been logged."""
    vars(other)[_MEMORY] = _told(service)


def _told(service: object) -> set[Hashable]:
    told: set[Hashable] = vars(service).setdefault(_MEMORY, set())
    return told
