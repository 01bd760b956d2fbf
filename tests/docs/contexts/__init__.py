"""The code around the blocks in the documentation; a page names the context before the block.

A context is a subclass of ``Context``, in a module named after the page.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.docs.contexts.context import Context

MODULES = sorted(path for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def context_called(name: str) -> Context:
    """Return the context with this name; without a name, an empty one.

    Only the module of its page is imported: another page's may need a second for what it imports.
    """
    if not name:
        return Context()
    home = next(path for path in MODULES if f"\nclass {name}(" in path.read_text())
    context: Context = getattr(_imported(home), name)()
    return context


def names_of_contexts() -> set[str]:
    """Return the names of all contexts."""
    for path in MODULES:
        _imported(path)
    return {context.__name__ for context in _subclasses(Context)}


def _imported(path: Path) -> object:
    return import_module(f"{__name__}.{path.stem}")


def _subclasses(parent: type[Context]) -> list[type[Context]]:
    return [one for child in parent.__subclasses__() for one in (child, *_subclasses(child))]
