"""Every Python block in the README and the documentation runs, and does what the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.contexts import names_of_contexts
from tests.docs.examples import PAGES, ROOT, Example, examples_of

EXAMPLES = [example for page in PAGES for example in examples_of(page)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_it_runs(example: Example, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_example", example.place],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_no_block_is_overlooked() -> None:
    assert len(EXAMPLES) == sum(page.read_text().count("```python") for page in PAGES)


def test_every_context_belongs_to_a_block() -> None:
    assert {example.context for example in EXAMPLES} - {""} == names_of_contexts()
