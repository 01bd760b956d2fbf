"""Requests are told apart by method and class of status, into a limited number of kinds."""

from __future__ import annotations

import pytest

from geventkws.http.request_durations import METHODS, OTHER, RequestDurations


@pytest.fixture
def durations() -> RequestDurations:
    return RequestDurations()


def kinds(durations: RequestDurations) -> dict[tuple[str, str], int]:
    return {(method, status): sum(each.counts()) for method, status, each in durations.by_kind()}


def test_there_are_no_kinds_before_there_are_requests(durations: RequestDurations) -> None:
    assert kinds(durations) == {}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_its_own(durations: RequestDurations, method: str) -> None:
    durations.observe(method, 204, 0.1)
    durations.observe(method, 299, 0.2)
    durations.observe(method, 300, 0.3)
    assert kinds(durations) == {(method, "2xx"): 2, (method, "3xx"): 1}
    assert [each.seconds for _, _, each in durations.by_kind()] == pytest.approx([0.3, 0.3])


def test_any_number_of_made_up_methods_count_as_other(durations: RequestDurations) -> None:
    for number in range(100):
        durations.observe(f"METHOD{number}", 500, 0)
    durations.observe("get", 500, 0)  # methods are sensitive to case (RFC 9110, 9.1)
    durations.observe("", 500, 0)
    assert kinds(durations) == {(OTHER, "5xx"): 102}


def test_every_status_of_three_digits_has_a_place(durations: RequestDurations) -> None:
    for status in range(100, 1000):
        durations.observe("GET", status, 0)
    assert kinds(durations) == {("GET", f"{digit}xx"): 100 for digit in range(1, 10)}
