"""Says once in a while what would otherwise be said again and again."""

from __future__ import annotations

from collections.abc import Hashable
from time import monotonic

MOST_KEYS = 16
"""How many different things are said within one period; others are not."""


class LogLimit:
    """Allows each thing to be said once per period."""

    def __init__(self, period: float = 60.0) -> None:
        """``period`` is in seconds."""
        self._period = period
        self._said_at: dict[Hashable, float] = {}

    def allows(self, key: Hashable = None) -> bool:
        """Return whether ``key`` may be said now; if so, count it as said."""
        now = monotonic()
        said_at = {key: at for key, at in self._said_at.items() if now - at < self._period}
        allowed = key not in said_at and len(said_at) < MOST_KEYS
        if allowed:
            said_at[key] = now
        self._said_at = said_at
        return allowed
