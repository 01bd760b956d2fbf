"""How a log shows what a peer sent."""

from __future__ import annotations

import unicodedata
from ast import literal_eval

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.escape import escape


@pytest.mark.parametrize("text", ["", "/chat", "GET /a?b=c HTTP/1.1", "/caf\u00e9/\u65e5\u672c", "it's"])
def test_what_prints_stays_as_it_is(text):
    assert escape(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\r\nb", r"a\x0d\x0ab"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ('"\\', r"\x22\x5c"),
        ("\u2028\u202e\ufeff", r"\u2028\u202e\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_does_not_print_is_escaped(text, escaped):
    assert escape(text) == escaped


def test_any_object_is_shown_as_its_text():
    assert escape(ValueError("a\nb")) == r"a\x0ab"


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_the_result_can_be_printed_and_encoded_and_shows_what_went_in(text):
    escaped = escape(text)
    assert escaped.isprintable()
    assert not any(unicodedata.category(character).startswith("C") for character in escaped)
    escaped.encode("utf-8")
    assert literal_eval(f'"{escaped}"') == text
