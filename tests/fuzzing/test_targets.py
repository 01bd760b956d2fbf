"""Nothing is wrong with the seeds of the fuzzing targets, with their corpora, and with random inputs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import corpus
from fuzzing.__main__ import NAMES

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest) -> Any:
    """A module that can be fuzzed."""
    return import_module(f"fuzzing.targets.{request.param}")


def test_nothing_is_wrong_with_its_seeds_and_its_corpus(target: Any) -> None:
    known = corpus.inputs(target.__name__.rpartition(".")[2])
    assert known[: len(target.SEEDS)] == list(target.SEEDS)
    for data in known:
        target.one_input(data)


@pytest.mark.parametrize(
    ("name", "function", "is_good"),
    [
        ("centrifuge", "decoded", lambda commands: commands is not None),
        ("deflate", "inflate", lambda message: message == b"Hello"),
        ("frames", "tell", lambda story: "ProtocolError" not in str(story)),
        ("handshake", "negotiate", lambda acceptance: acceptance is not None),
        ("proxies", "parse_ip", lambda address: str(address) != "10.0.0.1"),
    ],
)
def test_its_seeds_are_accepted(
    name: str, function: str, is_good: Callable[[Any], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the fuzzer would begin, and perhaps end, with how the first bytes are refused."""
    target = import_module(f"fuzzing.targets.{name}")
    original = getattr(target, function)
    results: list[Any] = []

    def remembered(*arguments: Any) -> Any:
        results.append(original(*arguments))
        return results[-1]

    monkeypatch.setattr(target, function, remembered)
    for seed in target.SEEDS:
        target.one_input(seed)
        assert results, seed
        assert all(is_good(result) for result in results), (seed, results)
        results.clear()


def test_what_the_fuzzer_has_found_is_kept_once(tmp_path: Path) -> None:
    found, directory = tmp_path / "found", tmp_path / "corpus"
    found.mkdir()
    directory.mkdir()
    seeds = list(import_module("fuzzing.targets.closing").SEEDS)
    new = {"seed": seeds[0], "a": b"\2\1", "crash-b": b"\3", "long": bytes(corpus.LONGEST + 1)}
    for name, data in new.items():
        (found / name).write_bytes(data)
    assert corpus.inputs("closing", directory) == seeds
    for _ in range(2):
        corpus.keep("closing", found, directory)
        assert corpus.inputs("closing", directory) == [*seeds, b"\3", b"\2\1"]


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
