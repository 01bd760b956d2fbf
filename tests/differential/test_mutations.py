"""Mutants: the same again for the same seed, different for another, never much longer than their source."""

from __future__ import annotations

from random import Random

import pytest

from tests.differential.mutations import HANDSHAKES, HTTP, Change, Material, mutants
from tests.differential.subjects import SUBJECTS

MATERIALS = [material for subject in SUBJECTS.values() for material in subject[:2]]
NAMED = {change.__name__: change for change in (*HTTP, *HANDSHAKES)}


@pytest.mark.parametrize(
    "material", MATERIALS, ids=["requests", "requests alone", "handshakes", "handshakes alone"]
)
def test_a_seed_and_a_number_make_a_mutant(material: Material) -> None:
    some = list(mutants(material, 1, range(100)))
    assert list(mutants(material, 1, range(50, 100))) == some[50:]
    assert [mutant.data for mutant in mutants(material, 2, range(100))] != [mutant.data for mutant in some]
    assert len({mutant.data for mutant in some}) > 50


@pytest.mark.parametrize("change", NAMED.values(), ids=NAMED)
def test_a_change_changes_something_now_and_then(change: Change) -> None:
    random = Random(1)
    sources = [source for material in MATERIALS for source in material.sources]
    changed = [(source, change(random, source)) for source in sources]
    assert any(before != after for before, after in changed)
    assert all(len(after) < len(before) + 1000 for before, after in changed)


@pytest.mark.parametrize("change", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("data", [b"", b"G", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\n0\r\n\r\n"])
def test_a_change_takes_any_bytes(change: Change, data: bytes) -> None:
    for seed in range(20):
        change(Random(seed), data)
