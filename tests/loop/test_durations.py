"""A histogram counts each duration once, where it belongs, in both of its forms."""

from __future__ import annotations

from bisect import bisect_left
from math import fsum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.loop.durations import BOUNDS
from tests.helpers import forms

FORMS = forms("geventkws.loop.durations")

SECONDS = st.floats(min_value=0, max_value=1e6)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param]


def test_nothing_has_happened_at_first(form: Any) -> None:
    durations = form.Durations()
    assert durations.counts() == [0] * (len(BOUNDS) + 1)
    assert durations.seconds == 0


def test_a_bound_belongs_to_the_bucket_that_it_ends(form: Any) -> None:
    durations = form.Durations()
    for bound in BOUNDS:
        durations.observe(bound)
    assert durations.counts() == [1] * len(BOUNDS) + [0]


def test_the_bounds_ascend() -> None:
    assert sorted(set(BOUNDS)) == BOUNDS


@given(seconds=st.lists(SECONDS | st.sampled_from(BOUNDS), max_size=50))
@pytest.mark.parametrize("name", FORMS)
def test_each_is_in_the_first_bucket_that_it_fits_into(name: str, seconds: list[float]) -> None:
    durations = FORMS[name].Durations()
    expected = [0] * (len(BOUNDS) + 1)
    for each in seconds:
        durations.observe(each)
        expected[bisect_left(BOUNDS, each)] += 1
    assert durations.counts() == expected
    assert durations.seconds == pytest.approx(fsum(seconds))


def test_the_counts_that_were_returned_stay_as_they_are(form: Any) -> None:
    durations = form.Durations()
    before = durations.counts()
    durations.observe(0)
    assert before[0] == 0
    assert durations.counts()[0] == 1
