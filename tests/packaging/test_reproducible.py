"""The same sources give the same archives, wherever, by whom and whenever they are built."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.packaging.sources import copy_sources

pytestmark = pytest.mark.timeout(300)

MOMENT = 1_700_000_000


def build(sources: Path, kind: str) -> bytes:
    """Return the bytes of an ``sdist`` or a ``wheel``, built as ``build`` does, in this environment."""
    program = f"from setuptools.build_meta import build_{kind}; print(build_{kind}('dist'))"
    made = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=sources,
        env={**os.environ, "BUILD_EXTENSION": "no", "SOURCE_DATE_EPOCH": str(MOMENT)},
    )
    return (sources / "dist" / made.stdout.splitlines()[-1]).read_bytes()


def another_checkout(target: Path) -> Path:
    """Copy the sources as somebody else might have them: older, and not readable by everybody."""
    copy_sources(target)
    for path in filter(Path.is_file, target.rglob("*")):
        path.chmod(0o600)
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return target


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The source distributions that two people build in directories of their own."""
    here = tmp_path_factory.mktemp("here")
    copy_sources(here)
    elsewhere = another_checkout(tmp_path_factory.mktemp("elsewhere") / "another" / "checkout")
    return [build(sources, "sdist") for sources in (here, elsewhere)]


def test_source_distributions_are_equal(archives: list[bytes]) -> None:
    assert archives[0] == archives[1]


def test_a_source_distribution_says_nothing_about_its_builder(archives: list[bytes]) -> None:
    with tarfile.open(fileobj=BytesIO(archives[0])) as members:
        told = {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in members}
    assert told == {(0, 0, "", "", MOMENT)}


def test_wheels_built_from_source_distributions_are_equal(archives: list[bytes], tmp_path: Path) -> None:
    wheels = []
    for number, archive in enumerate(archives):
        target = tmp_path / str(number)
        with tarfile.open(fileobj=BytesIO(archive)) as members:
            members.extractall(target, filter="data")
        wheels.append(build(next(target.iterdir()), "wheel"))
    assert wheels[0] == wheels[1]
