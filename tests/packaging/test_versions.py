"""What several files have to name, above all versions, is the same in all of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from geventkws.version import __version__
from tests.packaging.test_licences import EXTRAS
from tests.programs import ROOT


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def tox() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "tox.ini")
    return parser


@pytest.fixture(scope="module")
def pythons(project: dict[str, Any]) -> list[str]:
    """The supported versions of Python, the oldest first."""
    classifiers = "\n".join(project["project"]["classifiers"])
    return re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.MULTILINE)


def test_the_same_pythons_are_supported_everywhere(
    project: dict[str, Any], tox: ConfigParser, pythons: list[str]
) -> None:
    oldest = pythons[0]
    assert project["project"]["requires-python"] == f">={oldest}"
    assert project["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    assert project["tool"]["mypy"]["python_version"] == oldest
    assert re.findall(r"3\.\d+", tox["tox"]["env_list"]) == pythons
    assert tox["testenv:lowest"]["base_python"].startswith(oldest)
    wheels = project["tool"]["cibuildwheel"]["build"].split()
    assert wheels == [f"cp{version.replace('.', '')}-*" for version in pythons]
    newer = " ".join(reversed(pythons[1:]))
    assert f'\nOLDEST={oldest}\nSUPPORTED=({newer} "$OLDEST")\n' in (ROOT / ".ci" / "run").read_text()
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "Makefile"])
def test_the_oldest_python_is_the_one_that_is_asked_for(path: str, pythons: list[str]) -> None:
    assert re.findall(r"Python (3\.\d+) or later", (ROOT / path).read_text("utf-8")) == pythons[:1]


def test_the_oldest_dependencies_are_tested(project: dict[str, Any], tox: ConfigParser) -> None:
    oldest = [each.replace(">=", "==") for each in project["project"]["dependencies"]]
    assert tox["testenv:lowest"]["deps"].split() == oldest


def test_the_wheel_is_tried_with_all_that_users_may_install(tox: ConfigParser) -> None:
    assert tox["testenv:wheel"]["extras"].split(", ") == sorted(EXTRAS)


def test_the_types_of_all_examples_are_checked(tox: ConfigParser) -> None:
    examples = sorted({f"examples/{path.parent.name}" for path in ROOT.glob("examples/*/*.py")})
    assert re.findall(r"mypy (\S+)", tox["testenv:type"]["commands"]) == examples


def test_modules_are_always_compiled_with_the_same_tools(project: dict[str, Any]) -> None:
    tools = " ".join(f"'{each}'" for each in project["build-system"]["requires"])
    assert f"pip install --quiet --disable-pip-version-check {tools}\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").iterdir()), ids=lambda path: path.name
)
def test_every_action_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"uses: *(.*)", path.read_text("utf-8"))
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").iterdir()), ids=lambda path: path.name
)
def test_a_workflow_has_no_rights_unless_it_needs_them(path: Path) -> None:
    granted = re.findall(r"^ *([\w-]+): write", path.read_text("utf-8"), re.MULTILINE)
    assert granted in ([], ["id-token"])
    assert re.search(r"^permissions:", path.read_text("utf-8"), re.MULTILINE)


def test_the_version_is_said_once(project: dict[str, Any]) -> None:
    said = subprocess.run(
        [sys.executable, ROOT / "geventkws" / "version.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.strip() == __version__
    assert project["project"]["dynamic"] == ["version"]
