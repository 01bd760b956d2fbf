"""How a module is replaced by its compiled form."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import geventkws
from geventkws import backend
from geventkws.protocol import closing

PACKAGE = Path(geventkws.__file__).parent
NUMBER = re.compile(r"^(?:cdef [\w ]+ |    )([A-Z][A-Z0-9_]+) = (-?[0-9][\w *]*?)(?:  #.*)?$", re.MULTILINE)


def numbers_written_twice() -> list[tuple[str, int, int]]:
    """Return where a twin has a number that a readable module beside it has: the name and both values."""
    found = []
    for twin in sorted(PACKAGE.rglob("*.pyx")):
        beside = [
            import_module(f"geventkws.{twin.parent.name}.{path.stem}")
            for path in sorted(twin.parent.glob("[a-z]*.py"))
        ]
        for name, value in NUMBER.findall(twin.read_text()):
            product = 1
            for factor in value.split("*"):
                product *= ast.literal_eval(factor.strip())
            found += [
                (f"{twin.name}: {name}", product, getattr(module, name))
                for module in beside
                if isinstance(getattr(module, name, None), int)
            ]
    return found


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BACKEND", "compiled")


@pytest.mark.usefixtures("compiled")
def test_a_compiled_form_that_is_missing_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ImportError, match=r"geventkws\.loop\.workers .*GEVENTKWS_PURE=1"):
        backend.use_compiled("geventkws.loop.workers", {})


@pytest.mark.usefixtures("compiled")
def test_in_the_compiled_form_itself_nothing_is_replaced() -> None:
    names: dict[str, Any] = {"kept": 1}
    backend.use_compiled("geventkws.loop._c_workers", names)
    assert names == {"kept": 1}


def test_nor_is_anything_on_the_readable_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BACKEND", "pure")
    names: dict[str, Any] = {"kept": 1}
    backend.use_compiled("geventkws.loop.channel", names)
    assert names == {"kept": 1}


@pytest.mark.parametrize(("name", "compiled", "readable"), numbers_written_twice())
def test_a_number_of_a_twin_is_that_of_the_readable_form(name: str, compiled: int, readable: int) -> None:
    assert compiled == readable


def test_numbers_that_are_written_twice_are_found() -> None:
    assert {name.split(": ")[1] for name, *_ in numbers_written_twice()} >= {
        "MAX_RECEIVED",
        "MAX_LOOSE_CHUNKS",
    }


def declarations() -> Iterator[tuple[Path, set[str], ast.Module]]:
    """Return the modules that have a ``.pxd``, the C constants which that declares, and their source."""
    for path in sorted(PACKAGE.rglob("_c_*.pxd")):
        source = path.with_name(f"{path.stem.removeprefix('_c_')}.py")
        if not path.with_suffix(".pyx").exists():
            lines = re.findall(
                r"^cdef (?:int|double|Py_ssize_t) (_?[A-Z][^(\n]*)$", path.read_text(), re.MULTILINE
            )
            yield (
                source,
                {name for line in lines for name in re.findall(r"\w*[A-Z]\w*", line)},
                ast.parse(source.read_text()),
            )


def test_each_constant_that_is_declared_in_c_has_a_value() -> None:
    for source, declared, tree in declarations():
        given = {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        given |= {
            alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        assert declared <= given, f"in C, they would be 0: {source.name}"


def test_numbers_of_the_closing_handshake_are_declared_in_c() -> None:
    for source, declared, tree in declarations():
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "geventkws.protocol.closing":
                numbers = {
                    alias.name for alias in node.names if isinstance(getattr(closing, alias.name), int)
                }
                assert numbers <= declared, f"they would be looked up each time: {source.name}"
