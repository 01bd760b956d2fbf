"""Which cases CI runs instead of all of them, and in which parts."""

from __future__ import annotations

import pytest

from tests.compliance.evaluation import Case
from tests.compliance.selection import parts, sample


def numbered(*numbers: str) -> list[Case]:
    return [Case(number, "", "") for number in numbers]


SHORT = numbered("1.1.1", "5.20", "7.13.2", "9.8.6", "10.1.1")
LONG = numbered(
    *(f"{group}.{x}.{y}" for group, xs in ((12, 5), (13, 7)) for x in range(1, xs + 1) for y in range(1, 19))
)


def test_a_sample_has_all_short_cases() -> None:
    assert sample([*SHORT, *LONG])[: len(SHORT)] == SHORT


def test_a_sample_has_one_case_of_each_kind_of_data_and_of_each_set_of_parameters() -> None:
    assert [case.id.rpartition(".")[0] for case in sample(LONG)] == [
        *(f"12.{data}" for data in range(1, 6)),
        *(f"13.{parameters}" for parameters in range(1, 8)),
    ]


def test_a_sample_has_small_and_large_messages_whole_and_in_fragments() -> None:
    sizes = [case.number[2] for case in sample(LONG)]
    assert len(set(sizes)) == 12, "no size twice"
    assert max(size for size in sizes if size <= 10) == 10, "up to 128 KiB, whole"
    assert sum(size > 10 for size in sizes) == 4, "in fragments"


@pytest.mark.parametrize(
    ("count", "clients", "sizes"), [(517, 2, [26] * 17 + [25] * 3), (3, 2, [2, 1]), (1, 2, [1]), (0, 2, [])]
)
def test_parts_are_of_one_size_and_enough_for_all_clients(count: int, clients: int, sizes: list[int]) -> None:
    cases = (LONG * 3)[:count]
    assert [len(part) for part in parts(cases, 26, clients)] == sizes


def test_parts_have_every_case_once_and_neighbours_apart() -> None:
    assert parts(SHORT, 2, 1) == [[SHORT[0], SHORT[3]], [SHORT[1], SHORT[4]], [SHORT[2]]]
