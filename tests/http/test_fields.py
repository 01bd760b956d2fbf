"""What an application passes to ``start_response``: checked, and encoded for the wire."""

from __future__ import annotations

import pytest

from geventkws.http.fields import MAX_KNOWN_LENGTH, Fields, date_line, read_status, server_line


def test_fields_are_lines_in_their_order() -> None:
    fields = Fields([("Content-Type", "text/plain"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
    assert fields.encoded == b"Content-Type: text/plain\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
    assert fields.content_length is None
    assert not fields.closes
    assert Fields([]).encoded == b""


def test_what_the_server_itself_sends_is_read_and_left_out() -> None:
    fields = Fields([("Content-Length", "5"), ("Connection", " Close "), ("X", "y")])
    assert (fields.content_length, fields.closes, fields.encoded) == (5, True, b"X: y\r\n")


def test_common_lines_are_added_unless_the_application_has_them() -> None:
    server = server_line("me")
    assert Fields([]).common(server) == date_line() + b"Server: me\r\n"
    assert Fields([("date", "now")]).common(server) == server
    assert Fields([("SERVER", "you")]).common(server) == date_line()
    assert Fields([("Date", "now"), ("Server", "you")]).common(server) == b""
    assert server_line(None) == b""


@pytest.mark.parametrize("reason", ["OK", "", "x" * 2 * MAX_KNOWN_LENGTH])
def test_a_status_is_a_number_and_a_line_the_second_time_as_the_first(reason: str) -> None:
    for _ in range(2):
        assert read_status(f"299 {reason}") == (299, f"HTTP/1.1 299 {reason}\r\n".encode())


@pytest.mark.parametrize("status", ["200", "200OK", "20 OK", "99 X", "abc d", "200 A\r\nX: y", "200 \0"])
def test_a_malformed_status_raises(status: str) -> None:
    with pytest.raises(ValueError, match="a status is"):
        read_status(status)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\0b", "\r\n"])
def test_a_line_break_or_nul_in_a_value_raises(value: str) -> None:
    with pytest.raises(ValueError, match="CR, LF or NUL"):
        Fields([("X", value)])


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "Content-Length\n"])
def test_a_malformed_name_raises(name: str) -> None:
    with pytest.raises(ValueError, match="not a valid name"):
        Fields([(name, "a")])


@pytest.mark.parametrize(
    "headers", [[("X", 1)], [("X", None)], [("X", b"a")], [("Content-Length", 5)], [(b"X", "a")]]
)
def test_a_header_that_is_not_two_strings_raises(headers) -> None:
    with pytest.raises(TypeError, match="string"):
        Fields(headers)


def test_text_beyond_latin_1_raises() -> None:
    with pytest.raises(UnicodeEncodeError):
        Fields([("X", "\u20ac")])


@pytest.mark.parametrize("value", ["", "a", "-1", "+1", "1_0", "\u0663", "1" * 19])
def test_a_malformed_content_length_raises(value: str) -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        Fields([("Content-Length", value)])


def test_two_content_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="differ"):
        Fields([("Content-Length", "1"), ("content-length", "2")])
    assert Fields([("Content-Length", "1"), ("content-length", "1")]).content_length == 1
