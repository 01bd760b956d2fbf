from __future__ import annotations

from typing import Any

import pytest

from geventkws.http.errors import HTTPError
from geventkws.http.head import CHUNKED
from geventkws.http.reader import RequestReader
from tests.helpers import Feed

GET = b"GET /a?b=c HTTP/1.1\r\nHost: example.org\r\n\r\n"


def read_all(reads, **limits) -> list[Any]:
    """Feed a reader and return each request with its body, and the status of the error at the end."""
    reader = RequestReader(**limits)
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


def test_a_websocket_upgrade_leaves_what_is_behind_it(chunked: Feed) -> None:
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


REFUSED = {
    "no host": (request(host=b""), 400),
    "two hosts": (request(fields=b"Host: a\r\n"), 400),
    "two hosts and an absolute target": (request(target=b"http://a/", fields=b"Host: b\r\n"), 400),
    "host with a path": (request(host=b"Host: a/b\r\n"), 400),
    "host with a user": (request(host=b"Host: u@a\r\n"), 400),
    "host list": (request(host=b"Host: a b\r\n"), 400),
    "target with a user": (request(target=b"http://u@a/"), 400),
    "target of another scheme": (request(target=b"ftp://a/"), 400),
    "target with a fragment": (request(target=b"/a#b"), 400),
    "control byte in the target": (request(target=b"/\x01"), 400),
    "asterisk for GET": (request(target=b"*"), 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/0.9 by name": (request(version=b"0.9"), 400),
    "HTTP/2.0": (request(version=b"2.0"), 505),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.2": (request(version=b"1.2"), 505),
    "HTTP/1.10": (request(version=b"1.10"), 400),
    "RTSP": (b"OPTIONS / RTSP/1.0\r\nHost: a\r\n\r\n", 501),
    "ICE": (b"SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", 501),
    "an unknown method": (request(method=b"FETCH"), 501),
    "a method in lower case": (request(method=b"get"), 501),
    "a method that is no token": (request(method=b"G(T"), 400),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
    "TRACE": (request(method=b"TRACE"), 405),
    "two spaces before the target": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces behind the target": (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a tab in the request line": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space behind the version": (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    "a TLS client": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "lone CR first": (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare LF first": (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bare LF behind the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare LF behind a field": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "bare LF at the end": (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    "bare CR in a value": (request(fields=b"X: a\rY: b\r\n"), 400),
    "NUL in a value": (request(fields=b"X: a\0b\r\n"), 400),
    "DEL in a value": (request(fields=b"X: a\x7fb\r\n"), 400),
    "NUL in a name": (request(fields=b"X\0: a\r\n"), 400),
    "a name beyond ASCII": (request(fields=b"X\xc3: a\r\n"), 400),
    "an empty name": (request(fields=b": a\r\n"), 400),
    "a field without a colon": (request(fields=b"Xa\r\n"), 400),
    "space before the colon": (request(fields=b"X : a\r\n"), 400),
    "a folded value": (request(fields=b"X: a\r\n b\r\n"), 400),
    "a folded length": (post(b"Content-Length:\r\n 3\r\n", b"abc"), 400),
    "space before the first field": (request(host=b" Host: a\r\n"), 400),
    "length with a plus": (post(b"Content-Length: +3\r\n", b"abc"), 400),
    "negative length": (post(b"Content-Length: -3\r\n", b"abc"), 400),
    "hexadecimal length": (post(b"Content-Length: 0x3\r\n", b"abc"), 400),
    "length with an underscore": (post(b"Content-Length: 1_0\r\n", b"abc"), 400),
    "empty length": (post(b"Content-Length:\r\n", b"abc"), 400),
    "a list of lengths": (post(b"Content-Length: 3, 3\r\n", b"abc"), 400),
    "two equal lengths": (post(b"Content-Length: 3\r\nContent-Length: 3\r\n", b"abc"), 400),
    "two lengths": (post(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"abc"), 400),
    "length of 20 digits": (post(b"Content-Length: 18446744073709551617\r\n", b"abc"), 400),
    "length and chunked": (post(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "chunked and length": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"0\r\n\r\n"), 400),
    "chunked in HTTP/1.0": (request(version=b"1.0", fields=b"Transfer-Encoding: chunked\r\n"), 400),
    "gzip": (post(b"Transfer-Encoding: gzip\r\n"), 400),
    "identity": (post(b"Transfer-Encoding: identity\r\n"), 400),
    "xchunked": (post(b"Transfer-Encoding: xchunked\r\n"), 400),
    "chunked with a vertical tab": (post(b"Transfer-Encoding: \x0bchunked\r\n"), 400),
    "chunked, gzip": (post(b"Transfer-Encoding: chunked, gzip\r\n"), 400),
    "chunked twice": (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked\r\n"), 501),
    "gzip and chunked on two lines": (
        post(b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        501,
    ),
    ", chunked": (post(b"Transfer-Encoding: ,chunked\r\n"), 501),
    "another expectation": (post(b"Expect: a-miracle\r\nContent-Length: 3\r\n"), 417),
    "websocket by POST": (post(b"Connection: upgrade\r\nUpgrade: websocket\r\n"), 400),
    "websocket with a body": (
        request(fields=b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n", body=b"abc"),
        400,
    ),
    "websocket with chunks": (
        request(fields=b"Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"),
        400,
    ),
}

REFUSED_BODIES = {
    "bare LF behind a chunk size": b"3\nabc\r\n0\r\n\r\n",
    "bare LF behind a chunk": b"3\r\nabc\n0\r\n\r\n",
    "a chunk longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "space behind a chunk size": b"3 \r\nabc\r\n0\r\n\r\n",
    "space before a chunk size": b" 3\r\nabc\r\n0\r\n\r\n",
    "a chunk size over 64 bits": b"10000000000000000\r\n",
    "a chunk size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": b"\r\nabc\r\n0\r\n\r\n",
    "bare LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "control byte in an extension": b"3;\x01\r\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "an endless chunk size line": b"3;" + b"a" * 5000,
    "many extensions": b"1;" + b"a" * 4000 + b"\r\nx\r\n" + (b"1;" + b"a" * 4000 + b"\r\nx\r\n") * 5,
    "many trailers": b"0\r\n" + b"X: yyyyyyyyyyyyyyyy\r\n" * 2000,
    "a folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
    "a trailer without a colon": b"0\r\nX\r\n\r\n",
    "bare LF behind a trailer": b"0\r\nX: y\n\r\n",
    "bare LF at the end": b"0\r\n\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_head_that_is_not_plain_is_refused(case: str, chunked: Feed) -> None:
    sent, status = REFUSED[case]
    assert read_all(chunked(sent)) == [status]


@pytest.mark.parametrize("case", REFUSED_BODIES)
def test_a_chunked_body_that_is_not_plain_is_refused(case: str, chunked: Feed) -> None:
    assert read_all(chunked(chunks(REFUSED_BODIES[case])))[-1] == 400


def test_a_head_may_be_as_large_as_the_limit_and_no_larger(chunked: Feed) -> None:
    sent = request(fields=b"X: " + b"a" * 900 + b"\r\n")
    assert len(read_all(chunked(sent), max_head_size=len(sent))) == 1
    assert read_all(chunked(sent), max_head_size=len(sent) - 1) == [431]


def test_an_unfinished_head_is_refused_at_the_limit(chunked: Feed) -> None:
    assert read_all(chunked(b"GET / HTTP/1.1\r\nX: " + b"a" * 2000), max_head_size=1000) == [431]


def test_a_target_beyond_the_limit_has_a_status_of_its_own(chunked: Feed) -> None:
    assert read_all(chunked(b"GET /" + b"a" * 2000), max_head_size=1000) == [414]


def test_empty_lines_count_for_the_size_of_the_head(chunked: Feed) -> None:
    assert read_all(chunked(b"\r\n" * 600), max_head_size=1000) in ([414], [431])


def test_a_head_may_have_as_many_fields_as_the_limit_and_no_more(chunked: Feed) -> None:
    assert len(read_all(chunked(request(fields=b"X: y\r\n" * 99)))) == 1
    assert read_all(chunked(request(fields=b"X: y\r\n" * 100))) == [431]


def test_a_reader_says_whether_a_request_has_begun() -> None:
    reader = RequestReader()
    assert not reader.started
    reader.feed(b"\r\n")
    assert reader.head() is None
    assert not reader.started
    reader.feed(GET[:1])
    assert reader.started
    reader.feed(GET[1:])
    assert reader.head()
    assert not reader.started


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


def test_a_field_is_looked_up_without_case_and_joined() -> None:
    [(head, _)] = read_all([request(fields=b"Accept: a\r\nACCEPT: b\r\n")])
    assert head.field("accept") == "a, b"
    assert head.field("cookie") is None
