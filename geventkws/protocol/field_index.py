"""Finds the fields that matter in the head of a request, whatever else a client sends."""

from __future__ import annotations

from collections.abc import Iterable

from geventkws.backend import use_compiled

MAX_KNOWN_NAMES = 1024
"""The most field names that are remembered."""
MAX_KNOWN_NAME = 64
"""Characters of the longest field name that is remembered: clients choose them, and could fill the memory."""


class FieldIndex:
    """The names of the fields that matter to whoever makes the index, as they are looked up."""

    __slots__ = ("_by_lower", "_known")

    def __init__(self, *names: str) -> None:
        self._by_lower = {name.lower(): name for name in names}
        self._known: dict[str, str] = {}
        """The name of a field, as sent -> our spelling of it if it matters, else ``""``."""

    def lines(self, fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        """Return the values of the fields that matter, in order, by our spelling of their names.

        ``fields`` are (name, value), and names are case-insensitive (RFC 9110, 5.1).
        """
        lines: dict[str, list[str]] = {}
        known = self._known
        for name, value in fields:
            own = known.get(name)
            if own is None:
                own = self._learn(name)
            if own:
                lines.setdefault(own, []).append(value)
        return lines

    def _learn(self, name: str) -> str:
        own = self._by_lower.get(name.lower(), "")
        if len(name) <= MAX_KNOWN_NAME and len(self._known) < MAX_KNOWN_NAMES:
            self._known[name] = own
        return own


use_compiled(__name__, globals())
