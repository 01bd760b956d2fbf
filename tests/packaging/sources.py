"""The files from which the package is built. They can be copied with the standard library alone."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]

SOURCES = (
    "geventkws",
    "pytest_geventkws.py",
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
)


def copy_sources(target: Path) -> None:
    """Copy the sources, without anything made from them, into a directory; it may exist."""
    target.mkdir(parents=True, exist_ok=True)
    made = shutil.ignore_patterns("*.so", "__pycache__", "*.c")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=made)
        else:
            shutil.copy(ROOT / name, target)
