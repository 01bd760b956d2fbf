"""The tables of options in the documentation agree with the fields."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs import options_table
from geventkws.options import ABOUT
from tests.programs import ROOT


def test_the_pages_are_what_the_program_makes_of_the_fields(tmp_path: Path) -> None:
    for path in options_table.PAGES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    subprocess.run([sys.executable, options_table.__file__, tmp_path], check=True, timeout=100)
    for path in options_table.PAGES:
        committed, made = ((place / path).read_text("utf-8") for place in (ROOT, tmp_path))
        assert committed == made, "run: python docs/options_table.py"


def test_each_option_is_in_the_reference_and_each_limit_in_the_table() -> None:
    limits, reference = options_table.limits(), options_table.reference()
    for name, known in ABOUT.items():
        assert reference.count(f".. py:attribute:: {name}\n") == 1
        assert limits.count(f"| `{name}` |") == (0 if known.beyond is None else 1)


def test_a_changed_default_makes_another_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = options_table.limits()
    monkeypatch.setitem(options_table.DEFAULTS, "max_head_fields", 101)
    assert options_table.limits() == table.replace(
        "| `max_head_fields` | 100 |", "| `max_head_fields` | 101 |"
    )
