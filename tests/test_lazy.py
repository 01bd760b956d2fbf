"""What does not run when it is called is found, in a function and in what it returns."""

from __future__ import annotations

import functools
import warnings

import pytest

from geventkws.lazy import check_result, lazy_kind


class Chat:
    pass


async def coroutine():
    pass


def generator():
    yield


async def async_generator():
    yield


class Awaited:
    async def __call__(self):
        pass


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (coroutine, "an async function"),
        (functools.partial(coroutine), "an async function"),
        (Awaited(), "an async function"),
        (async_generator, "an async generator"),
        (generator, "a generator (it has a yield)"),
        (len, None),
        (lambda: generator(), None),
        (Chat, None),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_function_that_does_not_run_is_named_by_its_kind(function, kind):
    assert lazy_kind(function) == kind


@pytest.mark.parametrize("make", [coroutine, generator, async_generator])
def test_what_should_have_run_is_reported_with_what_made_it(make):
    told = rf"^Chat\.received returned a .* \({make.__name__}\), which has not run: make it a plain function"
    with pytest.raises(TypeError, match=told):
        check_result(Chat(), "received", make())


def test_python_does_not_warn_of_a_coroutine_that_was_reported():
    with warnings.catch_warnings(record=True) as warned, pytest.raises(TypeError):
        check_result(Chat(), "received", coroutine())
    assert not warned


@pytest.mark.parametrize("result", [None, True, "text", [1]])
def test_any_other_result_is_ignored(result):
    check_result(Chat(), "received", result)
