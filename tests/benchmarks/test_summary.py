"""Medians, spreads, and the order of the rows."""

from __future__ import annotations

import pytest

from benchmarks.summary import Record, change, figure, summarize


def rate(peer: str, value: float, repetition: int = 0) -> Record:
    return Record(peer, "echo", repetition, {"messages_per_second": value})


def test_a_figure_is_the_median_and_half_the_range_as_a_share_of_it():
    assert figure([90.0, 130.0, 100.0]).median == 100
    assert figure([90.0, 130.0, 100.0]).spread == pytest.approx(0.2)


def test_a_single_value_has_no_spread():
    assert figure([5.0]).spread == 0


def test_a_median_of_zero_has_no_spread():
    assert figure([0.0, 0.0, 3.0]).spread == 0


def test_rows_are_sorted_by_rate_and_the_failed_come_last():
    records = [Record("broken", "echo", 0, error="no"), rate("slow", 1.0), rate("fast", 9.0)]
    assert [row.peer for row in summarize(records, "echo")] == ["fast", "slow", "broken"]


def test_idle_rows_are_sorted_by_size_the_smallest_first():
    records = [
        Record(peer, "idle", 0, {"kib_per_connection": size}) for peer, size in (("a", 9.0), ("b", 1.0))
    ]
    assert [row.peer for row in summarize(records, "idle")] == ["b", "a"]


def test_a_row_is_of_one_workload_only():
    records = [rate("a", 1.0), Record("a", "other", 0, {"messages_per_second": 100.0})]
    (row,) = summarize(records, "echo")
    assert row.figures["messages_per_second"].median == 1


def test_the_repetitions_that_succeeded_count_and_an_error_is_reported_once():
    records = [rate("a", 4.0), Record("a", "echo", 1, error="no"), Record("a", "echo", 2, error="no")]
    (row,) = summarize(records, "echo")
    assert row.figures["messages_per_second"].median == 4
    assert row.errors == ("no",)


def test_a_change_is_the_median_over_the_repetitions_that_both_peers_have():
    records = [rate("a", 100.0), rate("b", 110.0), rate("a", 10.0, 1), rate("b", 9.0, 1)]
    records += [rate("a", 50.0, 2), rate("b", 60.0, 2), rate("a", 1.0, 3), rate("b", 99.0, 4)]
    factor = change(records, "echo", "messages_per_second", of="a", to="b")
    assert factor is not None
    assert factor.median == pytest.approx(1.1)
    assert factor.spread == pytest.approx(0.15 / 1.1)


def test_without_a_pair_there_is_no_change():
    records = [rate("a", 100.0), Record("b", "echo", 0, error="no")]
    assert change(records, "echo", "messages_per_second", of="a", to="b") is None
