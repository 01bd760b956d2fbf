"""Every Python block in the README and the documentation runs, and does what the page says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.contexts import names_of_contexts
from tests.docs.examples import PAGES, Example, examples_of

EXAMPLES = [example for page in PAGES for example in examples_of(page)]


Run = Callable[[Example, Path, Path], int]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run a block in a directory, with a file for its errors, and return its exit status."""
    runner = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.docs.run_example"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    )
    orders, statuses = runner.stdin, runner.stdout
    assert orders
    assert statuses

    def run(example: Example, directory: Path, errors: Path) -> int:
        orders.write(f"{example.place}\t{directory}\t{errors}\n")
        return int(statuses.readline())

    with runner:
        try:
            yield run
        finally:
            os.killpg(runner.pid, signal.SIGKILL)  # with a block that does not end


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_it_runs(example: Example, run: Run, tmp_path: Path) -> None:
    errors, directory = tmp_path / "errors", tmp_path / "directory"
    directory.mkdir()
    status = run(example, directory, errors)
    assert status == 0, errors.read_text()
    assert "Traceback" not in errors.read_text()


def test_no_block_is_overlooked() -> None:
    assert len(EXAMPLES) == sum(page.read_text().count("```python") for page in PAGES)


def test_every_context_belongs_to_a_block() -> None:
    assert {example.context for example in EXAMPLES} - {""} == names_of_contexts()
