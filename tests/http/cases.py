"""The corpus of raw requests: what each one holds, and how it is treated.

``corpus/<group>.json`` names the cases of a group; the bytes of each are in ``corpus/<group>/<name>.http``. A
case has these entries:

``title``
    what it is, in words;
``expect``
    what a reader makes of it, in order: ``"METHOD target"`` or ``"METHOD target body"`` for a request,
    ``"upgrade target"`` with the bytes after it, a number for a refusal with that status, ``"closed"`` if
    bytes after a request are no longer read, ``"unfinished"`` if the reader waits for more;
``answers``
    the statuses that a client gets, if they do not follow from ``expect``;
``advisories``, ``class``
    published weaknesses of this kind in other programs, and the name of the kind if it has one;
``why``
    why this outcome is right, if that is not obvious;
``gunicorn``, ``nginx``
    how that program differs from ``expect``, and why we are right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, eq=False)
class Case:
    """A raw request, or several on one connection, and how they are treated."""

    group: str
    name: str
    title: str
    expect: list[str | int]
    answers: list[int] = field(default_factory=list)
    advisories: list[str] = field(default_factory=list)
    kind: str = ""
    why: str = ""
    differs: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The bytes to send."""
        return (CORPUS / self.group / f"{self.name}.http").read_bytes()

    @property
    def requests(self) -> list[str]:
        """The requests that reach an application."""
        return [
            outcome
            for outcome in self.expect
            if isinstance(outcome, str)
            and outcome.split(" ")[0] not in ("upgrade", "closed", "unfinished")
            and not outcome.startswith("OPTIONS *")
        ]

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


def load() -> list[Case]:
    """Return the cases in the order of their groups."""
    return [
        _case(path.stem, name, entry)
        for path in sorted(CORPUS.glob("*.json"))
        for name, entry in json.loads(path.read_text("utf-8")).items()
    ]


def _case(group: str, name: str, entry: dict[str, Any]) -> Case:
    unknown = entry.keys() - {"title", "expect", "answers", "advisories", "class", "why", "gunicorn", "nginx"}
    if unknown:
        raise ValueError(f"{group}/{name} has unknown entries: {', '.join(sorted(unknown))}")
    return Case(
        group,
        name,
        entry["title"],
        entry["expect"],
        entry.get("answers", _answers(entry["expect"])),
        entry.get("advisories", []),
        entry.get("class", ""),
        entry.get("why", ""),
        {program: entry[program] for program in ("gunicorn", "nginx") if program in entry},
    )


def _answers(expect: list[str | int]) -> list[int]:
    return [outcome if isinstance(outcome, int) else 200 for outcome in expect if outcome != "closed"]


CASES = load()
