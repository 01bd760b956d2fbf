"""Functions that have not run when their call returns: coroutines and generators.

A service's callbacks may block, so none of them needs to be one; what they return is neither awaited nor
iterated over.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from types import AsyncGeneratorType, GeneratorType

PLAIN_FUNCTION = "make it a plain function, without async, await and yield; it may block instead"
"""What to do about it."""

_Lazy = (Awaitable, GeneratorType, AsyncGeneratorType)


def lazy_kind(callback: Callable[..., object]) -> str | None:
    """Return what a function is that does not run when it is called; ``None`` if it does."""
    for function in (callback, inspect.getattr_static(type(callback), "__call__", None)):
        if inspect.iscoroutinefunction(function):
            return "an async function"
        if inspect.isasyncgenfunction(function):
            return "an async generator"
        if inspect.isgeneratorfunction(function):
            return "a generator (it has a yield)"
    return None


def check_result(service: object, name: str, result: object) -> None:
    """Raise ``TypeError`` if the callback ``name`` of ``service`` has returned what would have to be awaited.

    Any other result is ignored: a lambda, for example, has one.
    """
    if result is not None and isinstance(result, _Lazy):
        if isinstance(result, (Coroutine, GeneratorType)):
            result.close()  # else Python warns that it was never awaited
        made_by = getattr(result, "__qualname__", type(result).__qualname__)
        raise TypeError(
            f"{type(service).__name__}.{name} returned a {type(result).__name__} ({made_by}),"
            f" which has not run: {PLAIN_FUNCTION}"
        )
