"""How a module is replaced by its compiled form."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import geventkws
from geventkws import backend

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
