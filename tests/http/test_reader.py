from __future__ import annotations

from typing import Any

import pytest

from geventkws.http.errors import HTTPError
from geventkws.http.head import CHUNKED
from geventkws.http.reader import RequestReader
from geventkws.options import ServerOptions
from tests.helpers import Feed

GET = b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n"


def read_all(reads, **limits) -> list[Any]:
    """Feed a reader, and return each request with its body, and the status of the error at the end."""
    reader = RequestReader(ServerOptions(**limits))
    requests: list[Any] = []
    head, body = None, b""
    try:
        for data in reads:
            reader.feed(data)
            while True:
                if head is None and (head := reader.head()) is None:
                    break
                piece = reader.body()
                if piece is None:
                    break
                body += piece
                if not piece:
                    requests.append((head, body))
                    head, body = None, b""
    except HTTPError as error:
        requests.append(error.status)
    return requests


def request(target=b"/", version=b"1.1", method=b"GET", host=b"Host: a\r\n", fields=b"", body=b"") -> bytes:
    return b"%b %b HTTP/%b\r\n%b%b\r\n%b" % (method, target, version, host, fields, body)


def post(fields: bytes, body: bytes = b"") -> bytes:
    return request(method=b"POST", fields=fields, body=body)


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


def test_a_request_is_read_however_it_is_cut(chunked: Feed) -> None:
    [(head, body)] = read_all(chunked(GET))
    assert (head.method, head.target, head.version) == ("GET", "/a?b=c", "1.1")
    assert head.headers == (("Host", "example.org"),)
    assert body == b""


def test_pipelined_requests_come_one_by_one_in_order(chunked: Feed) -> None:
    sent = GET + post(b"Content-Length: 3\r\n", b"abc") + chunks(b"2\r\nde\r\n0\r\n\r\n") + GET
    requests = read_all(chunked(sent))
    assert [body for _, body in requests] == [b"", b"abc", b"de", b""]


def test_requests_before_a_bad_one_are_read_first(chunked: Feed) -> None:
    first, status = read_all(chunked(GET + b"GARBAGE\r\n\r\n"))
    assert first[0].target == "/a?b=c"
    assert status == 400


def test_whitespace_around_a_value_is_not_part_of_it(chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(request(fields=b"X:  \t a\tb \t\r\nY:\r\nZ: \xff\r\n")))
    assert head.headers[1:] == (("X", "a\tb"), ("Y", ""), ("Z", "\xff"))


def test_names_with_an_underscore_are_dropped(chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(request(fields=b"X_Forwarded_For: 1.2.3.4\r\nX-A: b\r\n")))
    assert head.headers == (("Host", "a"), ("X-A", "b"))


def test_empty_lines_before_a_request_are_skipped(chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(b"\r\n\r\n" + GET))
    assert head.target == "/a?b=c"


def test_a_chunked_body_loses_its_extensions_and_trailers(chunked: Feed) -> None:
    sent = chunks(b'3;a="b;c"\r\nabc\r\n0A\r\n0123456789\r\n000\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n')
    [(head, body), (after, _)] = read_all(chunked(sent + GET))
    assert head.body_length == CHUNKED
    assert body == b"abc0123456789"
    assert after.target == "/a?b=c"


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://b.example/x?y", "/x?y", "b.example"),
        (b"HTTPS://b.example:8443", "/", "b.example:8443"),
        (b"http://[::1]:80?q", "/?q", "[::1]:80"),
    ],
)
def test_the_authority_of_an_absolute_target_replaces_host(target, path, host, chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(request(target=target)))
    assert head.target == path
    assert head.headers == (("Host", host),)


def test_a_websocket_upgrade_leaves_what_follows_it(chunked: Feed) -> None:
    reader = RequestReader()
    rest = b""
    head = None
    for data in chunked(
        request(fields=b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n") + b"\x81\x80"
    ):
        if head is not None:
            rest += data
            continue
        reader.feed(data)
        head = reader.head()
        rest = reader.take_rest() if head else b""
    assert head is not None
    assert head.upgrade
    assert rest == b"\x81\x80"


def test_after_the_rest_was_taken_the_next_request_is_found() -> None:
    reader = RequestReader()
    reader.feed(GET[:-2])
    assert reader.head() is None
    reader.take_rest()
    assert reader.head() is None
    reader.feed(request())
    assert reader.head() is not None


def test_another_upgrade_is_an_ordinary_request_with_its_body(chunked: Feed) -> None:
    fields = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nContent-Length: 3\r\n"
    )
    [(head, body)] = read_all(chunked(post(fields, b"abc")))
    assert not head.upgrade
    assert not head.keep_alive
    assert body == b"abc"


def test_upgrade_without_the_connection_option_means_nothing(chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(request(fields=b"Upgrade: websocket\r\n")))
    assert not head.upgrade
    assert head.keep_alive


def test_a_head_may_be_as_large_as_the_limit_and_no_larger(chunked: Feed) -> None:
    sent = request(fields=b"X: " + b"a" * 900 + b"\r\n")
    assert len(read_all(chunked(sent), max_head_size=len(sent))) == 1
    assert read_all(chunked(sent), max_head_size=len(sent) - 1) == [431]


def test_an_unfinished_head_is_refused_at_the_limit(chunked: Feed) -> None:
    assert read_all(chunked(b"GET / HTTP/1.1\r\nX: " + b"a" * 2000), max_head_size=1000) == [431]
    assert read_all(chunked(b"GET /" + b"a" * 2000), max_head_size=1000) == [431]


def test_a_target_beyond_the_limit_has_a_status_of_its_own(chunked: Feed) -> None:
    limits = {"max_target_size": 1000}
    assert len(read_all(chunked(request(target=b"/" + b"a" * 999)), **limits)) == 1
    assert read_all(chunked(request(target=b"/" + b"a" * 1000)), **limits) == [414]
    assert read_all(chunked(b"GET /" + b"a" * 2000), **limits) == [414]


def test_empty_lines_count_towards_the_size_of_the_head(chunked: Feed) -> None:
    assert read_all(chunked(b"\r\n" * 600), max_head_size=1000) == [431]


def test_a_head_may_have_as_many_fields_as_the_limit_and_no_more(chunked: Feed) -> None:
    assert len(read_all(chunked(request(fields=b"X: y\r\n" * 99)))) == 1
    assert read_all(chunked(request(fields=b"X: y\r\n" * 100))) == [431]


def test_a_reader_says_whether_a_request_has_begun() -> None:
    reader = RequestReader()
    assert not reader.has_more()
    reader.feed(b"\r\n")
    assert reader.head() is None
    assert not reader.has_more()
    reader.feed(GET[:1])
    assert reader.has_more()
    reader.feed(GET[1:])
    assert reader.head()
    assert not reader.has_more()


@pytest.mark.parametrize(
    ("version", "fields", "persists"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x, CLOSE\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_a_request_says_whether_the_connection_may_persist(version, fields, persists, chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(request(version=version, fields=fields)))
    assert head.keep_alive is persists


def test_http_1_0_needs_no_host(chunked: Feed) -> None:
    [(head, _)] = read_all(chunked(request(version=b"1.0", host=b"")))
    assert head.version == "1.0"


@pytest.mark.parametrize(
    ("fields", "expects"),
    [
        (b"Content-Length: 3\r\nExpect: 100-Continue\r\n", True),
        (b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", True),
        (b"Expect: 100-continue\r\n", False),
        (b"Content-Length: 3\r\n", False),
    ],
)
def test_continue_is_expected_only_before_a_body(fields: bytes, expects: bool) -> None:
    reader = RequestReader()
    reader.feed(post(fields))
    head = reader.head()
    assert head is not None
    assert head.expects_continue is expects


def test_a_body_is_given_in_pieces_of_at_most_the_limit() -> None:
    reader = RequestReader()
    reader.feed(post(b"Content-Length: 10\r\n", b"0123456789"))
    reader.head()
    assert [reader.body(4), reader.body(4), reader.body(4), reader.body(4)] == [b"0123", b"4567", b"89", b""]


REGISTERED = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
]
"""The IANA registry without CONNECT and TRACE, which are refused, and PRI, which no request has."""


@pytest.mark.parametrize("method", REGISTERED)
def test_every_registered_method_reaches_the_application(method: str) -> None:
    data = request(target=b"/a", method=method.encode(), fields=b"Content-Length: 2\r\n", body=b"hi")
    [(head, body)] = read_all([data])
    assert (head.method, head.target, body) == (method, "/a", b"hi")
    [(bodyless, _), (second, _)] = read_all([request(method=method.encode()) + GET])
    assert (bodyless.method, second.method) == (method, "GET")


@pytest.mark.parametrize("method", ["GET", "UPDATE", "LABEL", "VERSION-CONTROL"])
@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (" /\x01", ""),
        (" /", "Host : a\r\n"),
        (" /", "A\x00: b\r\n"),
        (" /", "A: b\x01c\r\n"),
        (" /", " A: b\r\n"),
        (" /", "A: b\rc\r\n"),
        (" /", "GET / HTTP/1.1\r\n"),
        ("  /", ""),
    ],
)
def test_the_rest_of_the_head_is_checked_whatever_the_method(method: str, start: str, rest: str) -> None:
    data = f"{method}{start} HTTP/1.1\r\nHost: a\r\n{rest}\r\n".encode()
    assert read_all([data]) == [400]


@pytest.mark.parametrize("method", ["update", "UPDATES", "UP", "PRI", "GETUPDATE"])
def test_a_method_that_is_not_registered_is_not_one_of_them(method: str) -> None:
    assert read_all([request(method=method.encode())])[0] in (400, 501)
