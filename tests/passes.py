"""Which passes of ``make test`` run a test, and in which order. CONTRIBUTING.md tells what the passes are.

A test that says nothing of itself runs in the first two: on either backend, and on either event loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.programs import ROOT

ONCE = ("docs", "typing", "clients", "compliance", "benchmarks", "packaging", "deploy")
"""The folders whose tests run programs as their users would, or do not run the package at all."""

READABLE = ("protocol/", "centrifuge/protocol/")
"""The folders whose tests run readable modules, unless a parameter says otherwise."""

PROGRAMS = {"cli": {"serve", "measured"}, "compat": {"run"}, "django": {"measured"}, "flask": {"measured"}}
"""The fixtures of a folder that run programs whose loop and backend are tested elsewhere."""

LONGEST = (
    "clients/",
    "packaging/",
    "hostile/",
    "docs/",
    "gunicorn/",
    "integration/test_examples",
    "integration/test_abandoned",
    "centrifuge/test_recovery",
    "server/test_forking",
    "server/test_signals",
    "compat/",
    "compliance/",
    "cli/",
    "django/",
    "pubsub/",
    "integration/",
    "metrics/",
    "benchmarks/",
)
"""The files that take longest come first: short ones at the end keep all cores at work."""


@cache
def place(path: Path) -> str:
    """Return where a test's file is within ``tests``."""
    return path.relative_to(ROOT / "tests").as_posix()


def folder(item: pytest.Item) -> str:
    """Return the folder of a test within ``tests``; ``"."`` for none."""
    return place(item.path).rpartition("/")[0].partition("/")[0] or "."


def forms_of(item: pytest.Item) -> set[str]:
    """Return the forms of a module, readable or compiled, that the parameters of a test name."""
    callspec = getattr(item, "callspec", None)
    values: Iterable[object] = callspec.params.values() if callspec else ()
    return {value for value in values if isinstance(value, str)} & {"pure", "compiled"}


def mark(item: pytest.Item) -> None:
    """Mark a test for the passes that would tell nothing new; at least one pass is left."""
    own = folder(item)
    if own in ONCE or not PROGRAMS.get(own, set()).isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.once)
    if "compiled" in forms_of(item):
        item.add_marker(pytest.mark.compiled)
    elif item.get_closest_marker("once") or item.get_closest_marker("compiled"):
        pass
    elif "pure" in forms_of(item) or place(item.path).startswith(READABLE):
        item.add_marker(pytest.mark.readable)


def order(item: pytest.Item) -> int:
    """Return a test's turn: lower ones come first."""
    return _turn(item.path)


@cache
def _turn(path: Path) -> int:
    return next((turn for turn, long in enumerate(LONGEST) if place(path).startswith(long)), len(LONGEST))
