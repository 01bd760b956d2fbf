"""``requirements.lock`` has a release, with hashes, of all that the project asks for, on every Python."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.programs import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
UNLOCKED = {"fuzz"}  # not available on every Python


def asked_for() -> list[Requirement]:
    """Return what the package, its build and its extras need."""
    extras = PROJECT["project"]["optional-dependencies"]
    lists = [PROJECT["project"]["dependencies"], PROJECT["build-system"]["requires"]]
    lists += [needs for extra, needs in extras.items() if extra not in UNLOCKED]
    requirements = [Requirement(each) for needs in lists for each in needs]
    return [each for each in requirements if each.name != "geventkws"]


@pytest.fixture(scope="module")
def pins() -> list[tuple[Requirement, str]]:
    """Each release in the lock, and its hashes."""
    entries = re.findall(
        r"^(\w[^\\\n]*?) *\\\n((?: +--hash=.*\n)+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    return [(Requirement(release), hashes) for release, hashes in entries]


def locked_version(name: str, pins: list[tuple[Requirement, str]], python: str) -> str:
    """Return the one version of a package that a Python gets on Linux."""
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    (version,) = (
        str(pin.specifier).removeprefix("==")
        for pin, _ in pins
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    )
    return version


@pytest.mark.parametrize("python", PYTHONS)
def test_everything_asked_for_is_locked(python: str, pins: list[tuple[Requirement, str]]) -> None:
    wrong = [
        f"{requirement}: {version}"
        for requirement in asked_for()
        if not requirement.specifier.contains(version := locked_version(requirement.name, pins, python))
    ]
    assert wrong == [], "run `make lock`"


def test_every_release_has_hashes(pins: list[tuple[Requirement, str]]) -> None:
    releases = re.findall(r"^\w.*==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(pins) == len(releases) > 100
    assert [str(pin) for pin, hashes in pins if not re.search(r"sha256:[0-9a-f]{64}\b", hashes)] == []
