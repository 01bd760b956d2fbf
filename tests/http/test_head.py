"""A request's head, once it has been read."""

from __future__ import annotations

from geventkws.http.head import RequestHead
from tests.http.memory import head_of


def test_a_field_is_looked_up_regardless_of_case_and_its_lines_are_joined() -> None:
    head = head_of(b"GET / HTTP/1.1\r\nHost: h\r\nAccept: a\r\nACCEPT: b\r\n\r\n")
    assert head.field("accept") == "a, b"
    assert head.field("cookie") is None


def test_other_headers_change_nothing_else() -> None:
    head = RequestHead("POST", "/a", "1.0", (("Host", "h"),), 5, False, True, True)
    other = head.with_headers((("Host", "other"),))
    assert other.headers == (("Host", "other"),)
    for name in RequestHead.__slots__:
        if name != "headers":
            assert getattr(other, name) == getattr(head, name), name
