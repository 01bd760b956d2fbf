"""What a type checker says about programs that use the public names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import ROOT

HERE = Path(__file__).parent
LIMIT = 150.0
"""Seconds for mypy, which without its cache first reads the standard library."""


def errors_of(name: str) -> set[tuple[int, str]]:
    """Return the lines of a program in which mypy finds errors, and the errors' codes."""
    command = [sys.executable, "-m", "mypy", "--no-pretty", "--no-error-summary", str(HERE / name)]
    output = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
    ).stdout
    errors = [line for line in output.splitlines() if ": error: " in line]
    found = [re.fullmatch(rf".*{re.escape(name)}:(\d+): error: .*\[([\w-]+)\]", line) for line in errors]
    assert all(found), output
    return {(int(match[1]), match[2]) for match in found if match}


@pytest.mark.timeout(LIMIT)
def test_right_uses_have_no_error() -> None:
    assert errors_of("right_uses.py") == set()


@pytest.mark.timeout(LIMIT)
def test_each_wrong_use_is_an_error_on_its_line() -> None:
    lines = (HERE / "wrong_uses.py").read_text("utf-8").splitlines()
    marked = [(number, re.search(r"# error: ([\w-]+)$", line)) for number, line in enumerate(lines, 1)]
    expected = {(number, match[1]) for number, match in marked if match}
    assert len(expected) > 30
    assert errors_of("wrong_uses.py") == expected
