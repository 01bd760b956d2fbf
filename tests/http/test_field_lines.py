"""The lines of a head, cut by both backends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.http.field_lines import TOO_MANY
from tests.helpers import forms

Cut = Callable[[bytes, int, int], tuple[tuple[str, str], ...] | None]

LINE = b"GET / HTTP/1.1\r\n"

FORMS = forms("geventkws.http.field_lines")


@pytest.fixture(params=FORMS)
def cut(request: pytest.FixtureRequest) -> Cut:
    form: Cut = FORMS[request.param].cut_fields
    return form


def test_names_and_values_come_in_order_without_the_whitespace_around_values(cut: Cut) -> None:
    head = LINE + b"Host:a\r\nX-One: \t b c\t \r\nx-one:\r\nX-Colon: a:b\r\n\r\n"
    assert cut(head, len(LINE), 100) == (("Host", "a"), ("X-One", "b c"), ("x-one", ""), ("X-Colon", "a:b"))


def test_bytes_are_latin_1(cut: Cut) -> None:
    assert cut(LINE + b"X: \xe4\xff\r\n\r\n", len(LINE), 1) == (("X", "äÿ"),)


def test_names_with_an_underscore_are_left_out_but_values_with_one_are_kept(cut: Cut) -> None:
    assert cut(LINE + b"X_Y: a\r\nX-Y: a_b\r\n\r\n", len(LINE), 2) == (("X-Y", "a_b"),)


def test_a_head_may_have_no_fields(cut: Cut) -> None:
    assert cut(LINE + b"\r\n", len(LINE), 0) == ()


@pytest.mark.parametrize("name", ["X-A", "X_A"])
def test_fields_are_counted_by_line(cut: Cut, name: str) -> None:
    head = LINE + f"{name}: 1\r\n".encode() * 3 + b"\r\n"
    assert cut(head, len(LINE), 3) is not TOO_MANY
    assert cut(head, len(LINE), 2) is TOO_MANY


def test_a_line_without_a_colon_is_refused(cut: Cut) -> None:
    with pytest.raises(ValueError, match="without a colon"):
        cut(LINE + b"Host: a\r\nnonsense\r\n\r\n", len(LINE), 9)


NAMES = st.text("abXY-_0", min_size=1, max_size=8)
VALUES = st.text(" \t:_,aé\x80ÿ", max_size=12)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.integers(0, 8))
def test_all_forms_cut_alike(fields: list[tuple[str, str]], limit: int) -> None:
    lines = "".join(f"{name}:{value}\r\n" for name, value in fields)
    head = LINE + lines.encode("latin-1") + b"\r\n"
    results = [form.cut_fields(head, len(LINE), limit) for form in FORMS.values()]
    assert all(result == results[0] for result in results)
