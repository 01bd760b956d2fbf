"""However connections end, they leave nothing behind. ``python -m tests.lives`` lets 100,000 of them live."""

from __future__ import annotations

import sys

from tests.lives.census import left
from tests.programs import Program
from tests.waiting import LONG

LIVES = 1300
BEFORE = {
    "objects": 1000,
    "descriptors": 10,
    "greenlets": 5,
    "watchers": 5,
    "references": 9,
    "KiB": 50_000,
    "present": 0,
}


def test_they_leave_nothing_behind() -> None:
    with Program(sys.executable, "-m", "tests.lives", f"--lives={LIVES}") as lives:
        assert lives.ends_within(LONG), lives.output
        assert lives.wait() == 0, lives.output


def test_little_that_a_life_could_leave_would_be_missed() -> None:
    """An object for each life, a few open files, a connection whose end nobody was told."""
    assert list(left(BEFORE, BEFORE, 1000)) == []
    for name, more in {
        "objects": 1000,
        "descriptors": 5,
        "greenlets": 9,
        "references": 4000,
        "present": 1,
    }.items():
        assert list(left(BEFORE, BEFORE | {name: BEFORE[name] + more}, 1000)) == [f"{more} {name}"]
    assert list(left(BEFORE, BEFORE | {"KiB": 50_000 + 10_240}, 1000)) == ["10240 KiB"]
