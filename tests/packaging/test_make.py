"""``make`` in a fresh clone says what it is doing, and what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import require_program
from tests.programs import ROOT

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory with the files that ``make chat`` needs before it serves the chat."""
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make_chat(clone: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run ``make chat`` while pip finds no packages."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PIP_"))}
    return subprocess.run(
        [require_program("make"), "chat", f"PYTHON={python}"],
        cwd=clone,
        env={**inherited, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_it_says_what_it_makes_and_ends_with_a_failed_installation(clone: Path) -> None:
    done = make_chat(clone)
    assert done.returncode != 0
    assert done.stdout.splitlines() == [
        "Making a virtual environment in .venv",
        "Installing geventkws[examples] in .venv (compiles: about a minute)",
    ]
    assert "ERROR" in done.stderr
    *_, ours, makes = done.stderr.splitlines()
    assert ours == "geventkws[examples] could not be installed: see pip's error above"
    assert makes.startswith("make: ***")
    assert not (clone / ".venv" / "examples.installed").exists(), "the next `make chat` tries again"


def test_an_unsuitable_python_is_reported_and_leaves_nothing(clone: Path) -> None:
    done = make_chat(clone, python="false")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "geventkws needs Python 3.11 or later: run make PYTHON=" in done.stderr
    assert not (clone / ".venv").exists()
