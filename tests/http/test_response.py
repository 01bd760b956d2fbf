from __future__ import annotations

import sys

import pytest

from geventkws.http import fields
from geventkws.http.errors import PeerGoneError
from geventkws.http.files import FileWrapper
from geventkws.http.response import MAX_WRITE, Response
from tests.helpers import running
from tests.http.memory import MemoryTransport, head_of, stream_on

PLAIN = [("Content-Type", "text/plain")]


def response_to(method: str = "GET", version: str = "1.1", connection: str = "", **options):
    line = f"Connection: {connection}\r\n" if connection else ""
    head = head_of(f"{method} / HTTP/{version}\r\nHost: h\r\n{line}\r\n".encode())
    transport = MemoryTransport(**options)
    return Response(head, stream_on(transport), 5.0), transport


def parse(data: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    assert len(dict(pairs)) == len(pairs)
    return status, dict(pairs), body


def answer(body, status="200 OK", headers=PLAIN, **request):
    response, transport = response_to(**request)
    response.start_response(status, list(headers))
    response.send(body)
    return response, transport


def test_head_and_body_leave_in_one_write() -> None:
    response, transport = answer([b"Hello, ", b"world!"])
    assert len(transport.writes) == 1
    status, headers, body = parse(transport.written)
    assert status == "HTTP/1.1 200 OK"
    assert headers.pop("Date").endswith("GMT")
    assert headers == {"Server": "geventkws", "Content-Type": "text/plain", "Content-Length": "13"}
    assert body == b"Hello, world!"
    assert response.bytes_sent == 13
    assert response.keep_alive


def test_the_applications_date_and_server_are_kept() -> None:
    for own in ([("Date", "now")], [("Server", "me")], [("Date", "now"), ("Server", "me")]):
        _, headers, _ = parse(answer([b""], headers=own)[1].written)
        assert own[0] in headers.items()
        assert set(headers) == {"Date", "Server", "Content-Length"}


def test_a_body_of_unknown_length_is_chunked_as_it_comes() -> None:
    _, transport = answer(iter([b"a" * 10, b"", b"b"]))
    assert len(transport.writes) == 3
    _, headers, body = parse(transport.written)
    assert headers["Transfer-Encoding"] == "chunked"
    assert body == b"a\r\naaaaaaaaaa\r\n1\r\nb\r\n0\r\n\r\n"


def test_a_body_of_unknown_length_ends_with_the_connection_in_http_1_0() -> None:
    response, transport = answer(iter([b"a", b"b"]), version="1.0", connection="keep-alive")
    _, headers, body = parse(transport.written)
    assert headers["Connection"] == "close"
    assert "Content-Length" not in headers
    assert "Transfer-Encoding" not in headers
    assert body == b"ab"
    assert not response.keep_alive


def test_http_1_0_is_told_that_the_connection_persists() -> None:
    response, transport = answer([b"a"], version="1.0", connection="keep-alive")
    assert parse(transport.written)[1]["Connection"] == "keep-alive"
    assert response.keep_alive


def test_an_iterable_that_yields_nothing_has_the_length_zero() -> None:
    assert parse(answer(iter([]))[1].written)[1]["Content-Length"] == "0"
    assert parse(answer([])[1].written)[1]["Content-Length"] == "0"


def test_a_response_to_head_has_no_body_and_the_length_of_one() -> None:
    for body in ([b"abc"], [], iter([b"abc"])):
        response, transport = answer(body, headers=[("Content-Length", "3")], method="HEAD")
        assert parse(transport.written)[1:] == (parse(transport.written)[1], b"")
        assert parse(transport.written)[1]["Content-Length"] == "3"
        assert response.keep_alive
        assert not response.incomplete


def test_a_response_to_head_does_not_invent_a_length() -> None:
    assert "Content-Length" not in parse(answer([], method="HEAD")[1].written)[1]
    assert parse(answer([b"abc"], method="HEAD")[1].written)[1]["Content-Length"] == "3"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[], [b"abc"], iter([b"abc"])])
def test_statuses_without_a_body_have_none(status, body) -> None:
    response, transport = answer(body, status=status)
    _, headers, sent = parse(transport.written)
    assert sent == b""
    assert "Content-Length" not in headers
    assert "Transfer-Encoding" not in headers
    assert response.keep_alive


def test_the_length_of_a_304_is_the_applications() -> None:
    headers = [("Content-Length", "3")]
    assert parse(answer([], "304 Not Modified", headers)[1].written)[1]["Content-Length"] == "3"
    assert "Content-Length" not in parse(answer([], "204 No Content", headers)[1].written)[1]


@pytest.mark.parametrize("body", [[b"abcdef"], iter([b"abc", b"def"]), iter([b"abcd", b"ef"])])
def test_a_body_beyond_its_content_length_is_cut_off(body) -> None:
    response, transport = answer(body, headers=[("Content-Length", "4")])
    assert parse(transport.written)[2] == b"abcd"
    assert response.bytes_sent == 4
    assert not response.incomplete


@pytest.mark.parametrize("body", [[], [b"abc"], iter([b"a", b"bc"]), iter([])])
def test_less_than_the_content_length_is_incomplete(body, caplog) -> None:
    response, transport = answer(body, headers=[("Content-Length", "4")])
    assert parse(transport.written)[1]["Content-Length"] == "4"
    assert response.incomplete
    assert "of a Content-Length of 4 for GET '/'" in caplog.text


def test_write_sends_the_head_and_each_part_at_once() -> None:
    response, transport = response_to()
    write = response.start_response("200 OK", PLAIN)
    assert transport.writes == []
    write(b"a")
    assert transport.written.endswith(b"1\r\na\r\n")
    response.send([b"b"])
    assert transport.written.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


def test_start_response_may_be_called_when_the_iteration_begins() -> None:
    response, transport = response_to()

    def body():
        response.start_response("201 Created", PLAIN)
        yield b"a"

    response.send(body())
    assert parse(transport.written)[0] == "HTTP/1.1 201 Created"


def test_a_body_without_start_response_raises() -> None:
    for body in ([b"a"], [], iter([b"a"])):
        response, transport = response_to()
        with pytest.raises(RuntimeError, match="did not call start_response"):
            response.send(body)
        assert transport.writes == []


def test_start_response_may_not_be_called_twice() -> None:
    response, _ = response_to()
    response.start_response("200 OK", PLAIN)
    with pytest.raises(RuntimeError, match="second time"):
        response.start_response("200 OK", PLAIN)


def exc_info():
    try:
        raise KeyError("x")
    except KeyError:
        return sys.exc_info()


def test_exc_info_replaces_a_head_that_has_not_been_sent() -> None:
    response, transport = response_to()
    response.start_response("200 OK", [("Content-Length", "99"), ("X", "y")])
    response.start_response("500 Oops", PLAIN, exc_info())
    response.send([b"sorry"])
    status, headers, _ = parse(transport.written)
    assert status == "HTTP/1.1 500 Oops"
    assert headers["Content-Length"] == "5"
    assert "X" not in headers


def test_exc_info_is_raised_again_if_the_head_has_been_sent() -> None:
    response, _ = response_to()
    response.start_response("200 OK", PLAIN)(b"a")
    with pytest.raises(KeyError, match="x"):
        response.start_response("500 Oops", PLAIN, exc_info())


def test_a_101_is_not_the_applications_to_send() -> None:
    response, transport = response_to()
    with pytest.raises(ValueError, match="a status of 101"):
        response.start_response("101 Switching", PLAIN)
    assert transport.writes == []


def test_hop_by_hop_headers_are_dropped_with_one_warning(caplog, monkeypatch) -> None:
    monkeypatch.setattr(running(fields), "_warnings_given", set())
    for _ in range(2):
        _, transport = answer(
            [b"a"], headers=[("Transfer-Encoding", "chunked"), ("Keep-Alive", "x"), ("Upgrade", "y")]
        )
        assert set(parse(transport.written)[1]) == {"Date", "Server", "Content-Length"}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


def test_the_application_may_close_the_connection() -> None:
    response, transport = answer([b"a"], headers=[("Connection", "close")])
    assert parse(transport.written)[1]["Connection"] == "close"
    assert not response.keep_alive


@pytest.mark.parametrize("body", [["text"], iter(["text"]), iter([b"a", None]), None, 5])
def test_a_body_that_is_not_bytes_raises(body) -> None:
    with pytest.raises(TypeError):
        answer(body)


def test_a_peer_that_is_gone_is_told_apart_from_the_applications_errors() -> None:
    response, _ = response_to(refuses=True)
    response.start_response("200 OK", PLAIN)
    with pytest.raises(PeerGoneError):
        response.send(iter([b"a", b"b"]))
    assert response.peer_gone


@pytest.mark.parametrize("cut", [False, True])
def test_a_large_body_is_written_in_parts_with_a_deadline_each(cut: bool) -> None:
    body = bytes(range(256)) * (MAX_WRITE // 256 + 1)
    _, transport = answer(iter([body]) if cut else [body], headers=[("Content-Length", str(len(body)))])
    assert parse(transport.written)[2] == body
    assert max(map(len, transport.writes)) <= MAX_WRITE


def test_a_response_may_be_told_that_the_connection_cannot_persist() -> None:
    transport = MemoryTransport()
    response = Response(
        head_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), stream_on(transport), None, lambda: False
    )
    response.start_response("200 OK", PLAIN)
    response.send([b"a"])
    assert parse(transport.written)[1]["Connection"] == "close"
    assert not response.keep_alive


class Reads:
    """A file whose blocks are not as they should be."""

    def __init__(self, data) -> None:
        self.read = lambda size: data


class Bytes(bytes):
    """A subclass of ``bytes``."""


@pytest.mark.parametrize(
    "data",
    [bytearray(b"abc"), memoryview(b"abc"), "abc", 3, [b"abc"]],
    ids=lambda data: type(data).__name__,
)
@pytest.mark.parametrize(
    "body",
    [
        lambda data: [data],
        lambda data: [b"abc", data],
        lambda data: (data,),
        lambda data: iter([data]),
        lambda data: FileWrapper(Reads(data)),
    ],
    ids=["list", "longer list", "tuple", "iterator", "file"],
)
def test_a_body_of_any_kind_is_made_of_bytes_and_nothing_else(body, data) -> None:
    with pytest.raises(TypeError, match=f"made of bytes \\(PEP 3333\\), not of {type(data).__name__}$"):
        answer(body(data))


@pytest.mark.parametrize("body", [[Bytes(b"abc")], [b"a", Bytes(b"bc")], iter([Bytes(b"abc")])])
def test_a_subclass_of_bytes_will_do(body) -> None:
    assert answer(body)[0].bytes_sent == 3


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("headers", [PLAIN, [("Content-Length", "3")]])
@pytest.mark.parametrize("body", [lambda: [b"abc"], lambda: iter([b"a", b"bc"]), lambda: iter([])])
def test_a_response_that_has_ended_accepts_nothing_more(version, headers, body) -> None:
    response, transport = response_to(version=version)
    write = response.start_response("200 OK", headers)
    response.send(body())
    written = transport.written
    for data in (b"late", b""):
        with pytest.raises(RuntimeError, match="after its response had ended"):
            write(data)
    assert transport.written == written


def test_nothing_is_written_to_a_connection_that_has_become_something_else() -> None:
    transport = MemoryTransport()
    stream = stream_on(transport)
    write = Response(head_of(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), stream).start_response("200 OK", PLAIN)
    stream.is_given = True
    with pytest.raises(RuntimeError, match="after its response had ended"):
        write(b"late")
    assert not transport.written


@pytest.mark.parametrize(
    ("version", "headers", "body", "complete"),
    [
        ("1.0", PLAIN, [b"abc"], True),
        ("1.0", PLAIN, iter([b"abc"]), True),
        ("1.1", PLAIN, iter([b"abc"]), True),
        ("1.1", [("Content-Length", "3")], [b"abc"], True),
        ("1.1", [("Content-Length", "3")], iter([b"ab", b"cd"]), True),
        ("1.1", [("Content-Length", "3")], [b"ab"], False),
        ("1.1", [("Content-Length", "3")], iter([b"ab"]), False),
        ("1.1", [("Content-Length", "3")], iter([]), False),
    ],
)
def test_a_response_is_complete_when_everything_that_was_announced_is_sent(
    version, headers, body, complete
) -> None:
    response, _ = answer(body, headers=headers, version=version)
    assert response.complete is complete


@pytest.mark.parametrize(
    ("version", "headers", "sent", "complete"),
    [
        ("1.1", PLAIN, b"abc", False),
        ("1.0", PLAIN, b"abc", False),
        ("1.1", [("Content-Length", "3")], b"ab", False),
        ("1.1", [("Content-Length", "3")], b"abc", True),
    ],
)
def test_before_its_end_only_a_length_says_that_it_is(version, headers, sent, complete) -> None:
    response, _ = response_to(version=version)
    response.start_response("200 OK", headers)(sent)
    assert response.complete is complete
