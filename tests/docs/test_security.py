"""Each attack in the documentation's table names tests, which exist; nothing of the package executes data."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from tests.programs import ROOT

PAGE = (ROOT / "docs" / "topics" / "security.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if "`tests/" in line and line.startswith("|")
]
EXECUTING = {"dill", "marshal", "pickle", "shelve"}
"""Modules of which some function executes what it reads."""


def functions(path: Path) -> set[str]:
    """Return the names of a file's tests: ``test_name``, or ``TestClass::test_name``."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return names


def exists(test: str) -> bool:
    """Return whether there is such a test, or such a case of the corpus."""
    if ".json: " in test:
        path, case = test.split(": ")
        return case in json.loads((ROOT / path).read_text("utf-8"))
    path, _, name = test.partition("::")
    return name in functions(ROOT / path)


def test_the_table_has_rows() -> None:
    assert len(ROWS) >= 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_attack_names_tests_that_exist(row: list[str]) -> None:
    _attack, _published, answer, tests = row
    assert answer
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert [test for test in named if not exists(test)] == []


def test_a_missing_test_would_be_noticed() -> None:
    assert not exists("tests/docs/test_security.py::test_that_nobody_has_written")
    assert not exists("tests/http/corpus/chunks.json: no-such-case")


def test_nothing_that_executes_data_is_imported() -> None:
    imported = {}
    for path in (ROOT / "geventkws").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if found := EXECUTING & {name.partition(".")[0] for name in names}:
                imported[path.name] = found
    assert imported == {}
