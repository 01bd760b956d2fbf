"""References to Python objects, ``module:name``, and calls of them, ``module:make("literal", n=1)``."""

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
"""How many existing names an error lists."""

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Reference:
    """A reference as it was written, and its parts."""

    text: str
    module: str
    names: tuple[str, ...]
    call: Call | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse ``text``; raises ``ValueError``, which says how to write a reference."""
        module, colon, rest = text.strip().partition(":")
        if not colon or not rest or not all(part.isidentifier() for part in module.split(".")):
            name = module.removesuffix(".py").strip("./").replace("/", ".") or "module"
            raise ValueError(f"{text!r} is not 'module:name': write '{name}:{rest or 'app'}'")
        try:
            node = ast.parse(rest, mode="eval").body
            call = None
            if isinstance(node, ast.Call):
                call = _arguments(node)
                node = node.func
            return cls(text, module, _names(node), call)
        except (SyntaxError, ValueError):
            raise ValueError(
                f"{text!r}: after the colon, write a name, or a call with literals such as 'x' or 1"
            ) from None

    def load(self, kind: str, is_kind: Callable[[object], bool]) -> Any:
        """Import the module and return the object.

        If there is no such object, the failure lists those in the module for which ``is_kind`` is true;
        ``kind`` is the plural word for them.
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
            f"{self.text!r}: there is no module {name!r}{_offered(name, there, f'modules in {sys.path[0]}')}"
            " (--app-dir sets where to look)"
        )

    def _not_found(self, name: str, owner: Any, kind: str, is_kind: Callable[[object], bool]) -> str:
        where = ".".join((self.module, *self.names[: self.names.index(name)]))
        there = [each for each, value in vars(owner).items() if not each.startswith("_") and is_kind(value)]
        return f"{self.text!r}: there is no {name!r} in {where}{_offered(name, there, f'{kind} in {where}')}"

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
            raise ValueError("** is not a literal")
        keywords[each.arg] = ast.literal_eval(each.value)
    return tuple(map(ast.literal_eval, node.args)), keywords


def _offered(name: str, there: Iterable[str], kind: str) -> str:
    """Return the end of an error: what there is instead of ``name``, a near match or all of a ``kind``."""
    names = sorted(there)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if not names:
        return f"; there are no {kind}"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"; {kind}: {', '.join(names[:MOST_NAMES])}{more}"
