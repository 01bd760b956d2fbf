"""The code around the blocks in the documentation; a page names the context before the block.

A context is a subclass of ``Context``, in a module named after the page.
"""

from __future__ import annotations

import importlib
import pkgutil

from tests.docs.contexts.context import Context

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def _subclasses(parent: type[Context]) -> list[type[Context]]:
    return [one for child in parent.__subclasses__() for one in (child, *_subclasses(child))]


CONTEXTS = {context.__name__: context for context in _subclasses(Context)}


def context_called(name: str) -> Context:
    """Return the context with this name; without a name, an empty one."""
    return CONTEXTS[name]() if name else Context()
