"""``make`` in a fresh clone says what it is doing, and what is wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.helpers import free_port, require_program
from tests.programs import EXAMPLES, ROOT, Program
from tests.waiting import PATIENCE

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A directory with the files that ``make chat`` needs before it serves the chat."""
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make_chat(clone: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run ``make chat`` while pip finds no packages."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LOCKED", "MAKE", "PIP_", "PYTHONPATH"))
    }
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
        "Installing geventkws in .venv (compiles: about a minute)",
    ]
    assert "ERROR" in done.stderr
    *_, ours, makes = done.stderr.splitlines()
    assert ours == "geventkws could not be installed: see pip's error above"
    assert makes.startswith("make: ***")
    assert not (clone / ".venv" / "package.installed").exists(), "the next `make chat` tries again"


def test_an_unsuitable_python_is_reported_and_leaves_nothing(clone: Path) -> None:
    done = make_chat(clone, python="false")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "geventkws needs Python 3.11 or later: run make PYTHON=" in done.stderr
    assert not (clone / ".venv").exists()


def test_the_cluster_serves_pages_until_ctrl_c_ends_all_of_it(clone: Path) -> None:
    require_program("redis-server")
    shutil.copytree(EXAMPLES, clone / "examples", ignore=shutil.ignore_patterns("node_modules"))
    port = free_port()
    installed = (f"VENV={sys.prefix}", "--old-file", f"{sys.prefix}/cluster.installed")
    with Program(require_program("make"), "cluster", f"PORT={port}", *installed, cwd=clone) as make:
        try:
            folder = Path(make.expect(r"Logs are in (.+)\. Ctrl-C ends everything", 3 * PATIENCE)[1])
            assert requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code == 200
            assert folder.is_dir()
        finally:
            os.killpg(make.pid, signal.SIGINT)  # as a terminal does
            make.wait()
    assert make.output.endswith("Ending everything\n")
    assert not folder.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
