"""Header fields (RFC 9110, section 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol.headers import Headers
from tests.cost import linear_time

LATIN1 = st.text(st.characters(max_codepoint=0xFF))
TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1)
PAIRS = st.lists(st.tuples(TOKENS, LATIN1))


def test_a_name_is_found_whatever_its_case():
    headers = Headers([("Sec-WebSocket-Key", "k")])
    assert headers["sec-websocket-key"] == headers["SEC-WEBSOCKET-KEY"] == "k"
    assert "sEC-wEBsOCKET-kEY" in headers


def test_a_missing_name_is_a_key_error_and_get_gives_the_default():
    headers = Headers([("Host", "a")])
    with pytest.raises(KeyError):
        headers["Origin"]
    assert headers.get("Origin") is None
    assert headers.get("Origin", "none") == "none"
    assert headers.get_all("Origin") == []
    assert "Origin" not in headers


def test_what_is_not_a_str_is_not_in_the_headers():
    number: object = 1
    assert number not in Headers([("1", "a")])


def test_several_lines_of_one_name_are_joined_by_commas():
    headers = Headers([("Connection", "keep-alive"), ("Host", "a"), ("connection", "Upgrade")])
    assert headers["Connection"] == "keep-alive, Upgrade"
    assert headers.get_all("CONNECTION") == ["keep-alive", "Upgrade"]


def test_several_cookie_lines_are_joined_by_semicolons():
    assert Headers([("Cookie", "a=1"), ("cookie", "b=2,3")])["Cookie"] == "a=1; b=2,3"


def test_names_are_listed_once_as_first_spelled_in_order():
    headers = Headers([("HOST", "a"), ("Accept", "b"), ("Host", "c")])
    assert list(headers) == ["HOST", "Accept"]
    assert len(headers) == 2
    assert dict(headers) == {"HOST": "a, c", "Accept": "b"}
    assert headers.pairs == (("HOST", "a"), ("Accept", "b"), ("Host", "c"))


def test_whitespace_around_a_value_is_not_part_of_it_but_other_blanks_are():
    headers = Headers([("A", " \t1 2\t "), ("B", "\xa01\x85")])
    assert headers["A"] == "1 2"
    assert headers["B"] == "\xa01\x85"


def test_changing_the_list_of_get_all_does_not_change_the_headers():
    headers = Headers([("A", "1")])
    headers.get_all("A").append("2")
    assert headers.get_all("A") == ["1"]


def test_headers_cannot_be_changed():
    headers = Headers([("A", "1")])
    with pytest.raises(TypeError):
        headers["A"] = "2"  # type: ignore[index]
    with pytest.raises(AttributeError):
        headers.other = 1  # type: ignore[attr-defined]


def test_headers_are_equal_without_regard_to_the_case_and_order_of_names():
    assert Headers([("A", "1"), ("B", "2")]) == Headers([("b", "2"), ("a", "1")])
    assert Headers([("A", "1")]) != Headers([("A", "2")])
    assert Headers([("A", "1"), ("A", "2")]) != Headers([("A", "2"), ("A", "1")])
    assert Headers([("A", "1")]) != {"A": "1"}


def test_the_repr_shows_the_lines_and_escapes_control_characters():
    assert repr(Headers([("A", "\x1b1")])) == "Headers([('A', '\\x1b1')])"


@given(PAIRS)
def test_the_mapping_has_each_line_once_and_nothing_else(pairs):
    headers = Headers(pairs)
    assert set(map(str.lower, headers)) == {name.lower() for name, _ in pairs}
    assert len(headers) == len(list(headers))
    assert sum(len(headers.get_all(name)) for name in headers) == len(pairs)
    assert Headers(headers.pairs) == headers


def test_a_hundred_thousand_lines_of_one_name_are_joined_in_linear_time():
    with linear_time():
        assert len(Headers([("A", "")] * 100_000)["a"]) == 2 * 99_999
