from __future__ import annotations

from geventkws.http.plain import plain_response
from tests.http.test_response import parse


def test_a_response_is_plain_text_and_closes() -> None:
    status, headers, body = parse(plain_response(400, "That was wrong", [("X", "y")]))
    assert status == "HTTP/1.1 400 Bad Request"
    assert body == b"That was wrong\n"
    headers.pop("Date")
    assert headers == {
        "Server": "geventkws",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": "15",
        "X": "y",
        "Connection": "close",
    }


def test_it_has_defaults_and_takes_what_is_given() -> None:
    assert parse(plain_response(404, ""))[2] == b"Not Found\n"
    assert parse(plain_response(499, ""))[0] == "HTTP/1.1 499 "
    assert parse(plain_response(404, "abc", head_only=True))[2] == b""
    given = iter([("Connection", "Upgrade"), ("Content-Type", "text/html"), ("Content-Length", "0")])
    _, headers, body = parse(plain_response(426, "<p>", given))
    assert headers["Connection"] == "Upgrade, close"
    assert headers["Content-Type"] == "text/html"
    assert headers["Content-Length"] == str(len(body)) == "4"
