"""The documentation, built once for the tests that read it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the documentation's pages, as ``make docs`` builds them: without a warning."""
    built = tmp_path_factory.mktemp("docs")
    options = ("--fail-on-warning", "--keep-going", "--quiet", "--doctree-dir", str(built / "doctrees"))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(ROOT / "docs"), str(built / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return built / "html"
