"""The header fields of a request: case-insensitive names, several lines of one name (RFC 9110, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from geventkws.protocol.tokens import OWS


class Headers(Mapping[str, str]):
    """Immutable header fields, looked up by name without regard to case.

    ``pairs`` are (name, value) in the order of the lines, without the whitespace around a value (RFC 9110,
    5.5). As a mapping it has one item for each name, in the spelling that came first, with the values of all
    its lines joined.
    """

    __slots__ = ("_lines", "pairs")

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple([(name, value.strip(OWS)) for name, value in pairs])
        lines: dict[str, list[str]] = {}
        for name, value in self.pairs:
            name = name.lower()
            if name in lines:
                lines[name].append(value)
            else:
                lines[name] = [value]
        self._lines = lines

    def get_all(self, name: str) -> list[str]:
        """Return the value of every line called ``name``, in order; an empty list if there is none."""
        return list(self._lines.get(name.lower(), ()))

    def __getitem__(self, name: str) -> str:
        # "a recipient MAY combine multiple field lines [...] separated by a comma" (RFC 9110, 5.2), but
        # a cookie may contain a comma, so its lines are joined as cookies are (RFC 9113, 8.2.3).
        separator = "; " if name.lower() == "cookie" else ", "
        return separator.join(self._lines[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._lines

    def __iter__(self) -> Iterator[str]:
        first_spellings: dict[str, str] = {}
        for name, _ in self.pairs:
            first_spellings.setdefault(name.lower(), name)
        return iter(first_spellings.values())

    def __len__(self) -> int:
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        return self._lines == other._lines if isinstance(other, Headers) else NotImplemented

    def __repr__(self) -> str:
        return f"Headers({list(self.pairs)!r})"
