"""A request and its response: what becomes of the connection, whatever the application does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from geventkws.http.context import AccessEntry, HTTPContext, no_services
from geventkws.http.environ import EnvironBuilder
from geventkws.http.errors import HTTPError
from geventkws.http.exchange import ABORT, CLOSE, GIVEN, LINGER, NEXT, Exchange
from geventkws.http.reader import RequestReader
from geventkws.options import ServerOptions
from geventkws.protocol.refusals import HandshakeError
from tests.http.memory import MemoryTransport, stream_on
from tests.raw import upgrade_request

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
PEER = ("192.0.2.1", 5000)


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


class Scene:
    """An exchange in memory, and what was logged of it."""

    def __init__(
        self,
        application: Any = hello,
        reads: tuple[bytes, ...] = (),
        on_upgrade: Callable[..., bool] = no_services,
        **options: Any,
    ) -> None:
        self.logged: list[AccessEntry] = []
        self.context = HTTPContext(
            EnvironBuilder("h", 80),
            application,
            ServerOptions(**options),
            on_upgrade=on_upgrade,
            log_access=self.logged.append,
        )
        self.transport = MemoryTransport(reads)
        self.reader = RequestReader()
        self.exchange = Exchange(stream_on(self.transport), self.context, self.reader, PEER)

    def serve(self, data: bytes) -> int:
        """Answer one request, and return what becomes of the connection."""
        self.reader.feed(data)
        head = self.reader.head()
        assert head is not None
        return self.exchange.serve(head)

    @property
    def statuses(self) -> list[int]:
        return [entry.status for entry in self.logged]


@pytest.fixture(autouse=True)
def access_log_is_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_connection_goes_on_after_an_answer() -> None:
    scene = Scene()
    assert scene.serve(GET) == NEXT
    assert scene.transport.written.endswith(b"\r\n\r\nhello")
    assert [(entry.remote_address, entry.status, entry.bytes_sent) for entry in scene.logged] == [
        (PEER, 200, 5)
    ]


def test_it_closes_if_the_client_wants_that_or_has_had_enough_requests() -> None:
    assert Scene().serve(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") == CLOSE
    scene = Scene(max_requests=2)
    assert [scene.serve(GET), scene.serve(GET)] == [NEXT, CLOSE]


def test_what_else_the_client_has_sent_is_discarded_before_it_closes() -> None:
    assert Scene(max_requests=1).serve(GET * 2) == LINGER


def test_a_body_that_was_not_read_is_discarded_or_the_connection_closes() -> None:
    assert Scene(reads=(b"abc",)).serve(POST % 3) == NEXT
    assert Scene().serve(POST % 10_000_000) == LINGER


def test_a_body_that_fails_is_answered_with_the_status_that_says_why() -> None:
    def reads(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read()
        return hello(environ, start_response)

    scene = Scene(reads, (b"abc",))
    assert scene.serve(POST % 10) == LINGER
    assert scene.transport.written.startswith(b"HTTP/1.1 400 ")
    assert scene.statuses == [400]


def fails(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    raise LookupError("a mistake")


def times_out(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    raise gevent.Timeout


@pytest.mark.parametrize("application", [fails, times_out])
def test_an_application_that_fails_is_answered_with_500(application, caplog) -> None:
    scene = Scene(application)
    assert scene.serve(GET) == LINGER
    assert scene.transport.written.startswith(b"HTTP/1.1 500 ")
    assert "The application failed at GET '/'" in caplog.text


def test_one_that_is_killed_is_not_logged(caplog) -> None:
    def dies(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        raise gevent.GreenletExit

    assert Scene(dies).serve(GET) == CLOSE
    assert not caplog.records


def half(length: bool) -> Callable[..., Any]:
    """Return an application that fails in the middle of its response."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Length", "10")] if length else [])
        yield b"half"
        raise LookupError("a mistake")

    return application


@pytest.mark.parametrize(
    ("version", "length", "after"),
    [(b"1.1", True, CLOSE), (b"1.1", False, CLOSE), (b"1.0", True, CLOSE), (b"1.0", False, ABORT)],
)
def test_the_client_sees_that_a_response_was_cut_off(version, length, after, caplog) -> None:
    scene = Scene(half(length))
    assert scene.serve(b"GET / HTTP/%b\r\nHost: h\r\n\r\n" % version) == after
    assert scene.statuses == [200]
    assert not scene.transport.written.endswith(b"0\r\n\r\n")


def test_close_is_called_whatever_happens_and_its_failure_is_only_logged(caplog) -> None:
    closed: list[bool] = []

    class Body(list):
        def close(self) -> None:
            closed.append(True)
            raise LookupError("a mistake")

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Body:
        start_response("200 OK", [])
        return Body([b"hello"])

    scene = Scene(application)
    assert scene.serve(GET) == NEXT
    assert closed == [True]
    assert scene.transport.written.endswith(b"hello")
    assert "The application failed after its answer" in caplog.text


def test_options_for_the_whole_server_do_not_reach_the_application() -> None:
    scene = Scene(fails)
    assert scene.serve(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n") == NEXT
    assert b"\r\nAllow: GET, HEAD, POST" in scene.transport.written


class TestAnUpgrade:
    def test_one_that_is_accepted_has_given_the_connection_away(self) -> None:
        behind: list[bytes] = []

        def take(exchange: Any, head: object, rest: bytes) -> bool:
            behind.append(rest)
            return True

        scene = Scene(fails, on_upgrade=take)
        assert scene.serve(upgrade_request("/") + b"frames") == GIVEN
        assert behind == [b"frames"]
        assert scene.transport.written == b""

    @pytest.mark.parametrize("kind", [HTTPError, HandshakeError])
    def test_one_that_is_refused_gets_the_answer_of_whoever_refuses(self, kind: Any) -> None:
        refusals: list[object] = []
        error = kind(403, "Not you", [("X", "y")])

        def refuse(*args: object) -> bool:
            raise error

        scene = Scene(fails, on_upgrade=refuse)
        scene.context.on_refusal = refusals.append
        assert scene.serve(upgrade_request("/")) == LINGER
        assert scene.transport.written.startswith(b"HTTP/1.1 403 ")
        assert b"\r\nX: y\r\n" in scene.transport.written
        assert refusals == ([error] if kind is HandshakeError else [])

    def test_one_that_nobody_claims_goes_to_the_application(self) -> None:
        scene = Scene()
        refusals: list[object] = []
        scene.context.on_refusal = refusals.append
        assert scene.serve(upgrade_request("/")) == LINGER
        assert scene.statuses == [200]
        assert refusals == [None]


def test_what_was_not_understood_is_answered_in_place_of_the_application() -> None:
    scene = Scene(fails)
    assert scene.exchange.refuse(None, 400, "What?") == LINGER
    assert scene.transport.written.startswith(b"HTTP/1.1 400 ")
    assert scene.transport.written.endswith(b"\r\n\r\nWhat?\n")
    assert [(entry.head, entry.status) for entry in scene.logged] == [(None, 400)]


def test_a_refusal_of_head_has_no_body() -> None:
    scene = Scene(fails)
    assert scene.serve(GET.replace(b"GET", b"HEAD")) == LINGER
    assert scene.transport.written.endswith(b"\r\n\r\n")
