"""References to objects of Python, ``module:name``, and calls of them, ``module:make("literal", n=1)``."""

from __future__ import annotations

import ast
import difflib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from geventkws.cli.errors import USAGE, Failure, broken

MOST_NAMES = 8
"""Names that an error tells of what is there."""

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Reference:
    """A reference, as it was written and what it means."""

    text: str
    module: str
    names: tuple[str, ...]
    call: Call | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return what ``text`` refers to; raises ``ValueError``, which says how to write it."""
        module, colon, rest = text.strip().partition(":")
        if not colon or not rest or not all(part.isidentifier() for part in module.split(".")):
            name = module.removesuffix(".py").strip("./").replace("/", ".") or "module"
            raise ValueError(f"{text!r} is no 'module:name': write '{name}:{rest or 'app'}'")
        try:
            node = ast.parse(rest, mode="eval").body
            call = None
            if isinstance(node, ast.Call):
                call = _arguments(node)
                node = node.func
            return cls(text, module, _names(node), call)
        except (SyntaxError, ValueError):
            raise ValueError(
                f"{text!r}: behind the colon goes a name, or a call of one with literals such as 'x' or 1"
            ) from None

    def load(self, kind: str, is_kind: Callable[[object], bool]) -> Any:
        """Import the module and return the object.

        Where it is not found, the failure tells which names of the module ``is_kind`` is true of.
        """
        found: Any = self._import()
        for name in self.names:
            try:
                found = getattr(found, name)
            except AttributeError:
                raise Failure(USAGE, self._not_found(name, found, kind, is_kind)) from None
        return found if self.call is None else self._called(found)

    def _import(self) -> ModuleType:
        try:
            return import_module(self.module)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{self.module}.".startswith(f"{error.name}."):
                raise Failure(USAGE, self._no_module(error.name)) from None
            raise broken(f"importing {self.module}", error) from error
        except Exception as error:
            raise broken(f"importing {self.module}", error) from error

    def _no_module(self, name: str) -> str:
        there = [module.name for module in pkgutil.iter_modules(sys.path[:1])]
        return (
            f"{self.text!r}: there is no module {name!r}{_offered(name, there, f'in {sys.path[0]}')}"
            " (--app-dir says where modules are)"
        )

    def _not_found(self, name: str, owner: Any, kind: str, is_kind: Callable[[object], bool]) -> str:
        where = ".".join((self.module, *self.names[: self.names.index(name)]))
        there = [each for each, value in vars(owner).items() if not each.startswith("_") and is_kind(value)]
        return f"{self.text!r}: there is no {name!r} in {where}{_offered(name, there, f'as {kind}')}"

    def _called(self, function: Any) -> Any:
        args, kwargs = self.call or ((), {})
        if not callable(function):
            name = ".".join(self.names)
            raise Failure(USAGE, f"{self.text!r}: {name} cannot be called: write '{self.module}:{name}'")
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise broken(self.text, error) from error


def _names(node: ast.expr) -> tuple[str, ...]:
    if isinstance(node, ast.Attribute):
        return (*_names(node.value), node.attr)
    if isinstance(node, ast.Name):
        return (node.id,)
    raise ValueError("neither a name nor an attribute")


def _arguments(node: ast.Call) -> Call:
    keywords = {}
    for each in node.keywords:
        if each.arg is None:
            raise ValueError("** is no literal")
        keywords[each.arg] = ast.literal_eval(each.value)
    return tuple(map(ast.literal_eval, node.args)), keywords


def _offered(name: str, there: Iterable[str], where: str) -> str:
    """Return in words what there is instead of ``name``, the nearest first."""
    names = sorted(there)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if not names:
        return f", and nothing else {where}"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"; {where} there is {', '.join(names[:MOST_NAMES])}{more}"
