"""Nothing is wrong with the seeds of the fuzzing targets, with what once failed, and with random inputs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing.__main__ import DIRECTORY, NAMES

CORPUS = sorted((DIRECTORY / "corpus").glob("*/*"))
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest) -> Any:
    """A module that can be fuzzed."""
    return import_module(f"fuzzing.targets.{request.param}")


def test_nothing_is_wrong_with_its_seeds(target: Any) -> None:
    for seed in target.SEEDS:
        target.one_input(seed)


def test_what_once_failed_is_mended(target: Any) -> None:
    name = target.__name__.rpartition(".")[2]
    for path in CORPUS:
        if path.parent.name == name:
            target.one_input(path.read_bytes())


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sessions"])
def test_nothing_is_wrong_with_random_inputs(name: str) -> None:
    one_input = import_module(f"fuzzing.targets.{name}").one_input

    @settings(max_examples=50)
    @given(st.binary(max_size=200))
    def holds(data: bytes) -> None:
        one_input(data)

    holds()


def test_a_fault_in_the_table_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    closing = import_module("fuzzing.targets.closing")
    state, _outcome, actions = closing.TRANSITIONS[closing.OPEN][0]
    row = ((state, 0, actions), *closing.TRANSITIONS[closing.OPEN][1:])
    again = tuple(row if number == state else each for number, each in enumerate(closing.TRANSITIONS))
    monkeypatch.setattr(closing, "TRANSITIONS", again)
    with pytest.raises(AssertionError, match="a second close frame"):
        closing.one_input(bytes([0, 0]))
