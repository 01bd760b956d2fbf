"""Which passes of ``make test`` run a test, and in which order. CONTRIBUTING.md tells what the passes are.

A test that says nothing of itself runs in the first two: on either backend, and on either event loop.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.programs import ROOT

ONCE = ("docs", "typing", "clients", "compliance", "benchmarks", "packaging")
"""The folders whose tests run programs as their users would, or do not run the package at all."""

LONGEST = ("packaging", "clients", "docs", "cli", "gunicorn")
"""The folders whose files take longest come first: short ones at the end keep all cores at work."""


def folder(item: pytest.Item) -> str:
    """Return the folder of a test within ``tests``; ``"."`` for none."""
    return item.path.relative_to(ROOT / "tests").parts[0] if item.path.parent != ROOT / "tests" else "."


def forms_of(item: pytest.Item) -> set[str]:
    """Return the forms of a module, readable or compiled, that the parameters of a test name."""
    callspec = getattr(item, "callspec", None)
    values: Iterable[object] = callspec.params.values() if callspec else ()
    return {value for value in values if isinstance(value, str)} & {"pure", "compiled"}


def mark(item: pytest.Item) -> None:
    """Mark a test for the passes that would tell nothing new; at least one pass is left."""
    own = folder(item)
    if own in ONCE:
        item.add_marker(pytest.mark.once)
    if "compiled" in forms_of(item):
        item.add_marker(pytest.mark.compiled)
    elif item.get_closest_marker("once") or item.get_closest_marker("compiled"):
        pass
    elif "pure" in forms_of(item) or own == "protocol":
        item.add_marker(pytest.mark.readable)


def order(item: pytest.Item) -> int:
    """Return a test's place: lower ones come first."""
    own = folder(item)
    return LONGEST.index(own) if own in LONGEST else len(LONGEST)
