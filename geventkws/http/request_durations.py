"""How long requests took, by method and by class of status."""

from __future__ import annotations

from collections.abc import Iterator

from geventkws.backend import use_compiled
from geventkws.loop.durations import Durations

METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
"""The methods of RFC 9110, section 9.3, and RFC 5789. A client may make up any number of others."""

OTHER = "other"
"""Stands for any other method, and for that of a request that was not understood."""

CLASSES = 10
"""How many first digits a status may have."""

_PLACES = {method: index * CLASSES for index, method in enumerate((*METHODS, OTHER))}
_ELSEWHERE = _PLACES[OTHER]


class RequestDurations:
    """Durations for each method and each class of status (RFC 9110, section 15) that has occurred."""

    __slots__ = ("_durations",)

    def __init__(self) -> None:
        self._durations: list[Durations | None] = [None] * (len(_PLACES) * CLASSES)

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered with ``status`` after ``seconds``."""
        place = _PLACES.get(method, _ELSEWHERE) + status // 100
        durations = self._durations[place]
        if durations is None:
            durations = self._durations[place] = Durations()
        durations.observe(seconds)

    def by_kind(self) -> Iterator[tuple[str, str, Durations]]:
        """Yield each method and class of status, such as ``"2xx"``, with its durations."""
        for place, durations in enumerate(self._durations):
            if durations is not None:
                yield (*METHODS, OTHER)[place // CLASSES], f"{place % CLASSES}xx", durations


use_compiled(__name__, globals())
