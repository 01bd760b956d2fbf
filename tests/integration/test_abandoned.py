"""A response that the application is slow to produce ends soon after its client has gone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal

from geventkws.http import connection
from geventkws.net import transport
from tests.certificates import Certificates
from tests.helpers import running
from tests.integration.conftest import Serve
from tests.raw import RawClient
from tests.tls import tls_socket
from tests.waiting import LONG, PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\nHost: h\r\n\r\n"

pytestmark = pytest.mark.usefixtures("in_time")


class Events:
    """Server-sent events: one, and then none for a long time."""

    def __init__(self, *headers: tuple[str, str], last: bytes = b"data: last\n\n") -> None:
        self.headers = [("Content-Type", "text/event-stream"), *headers]
        self.go_on, self.ended = Signal(), Signal()
        self.last = last
        self.exit: BaseException | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", self.headers)
        return self.events()

    def events(self) -> Iterator[bytes]:
        try:
            yield b"data: first\n\n"
            self.go_on.wait(LONG)
            yield self.last
        except BaseException as error:
            self.exit = error
            raise
        finally:
            self.ended.set()


def reads_the_first(client: RawClient, request: bytes = GET) -> None:
    client.send(request)
    assert client.read_head().startswith("HTTP/1.1 200 ")
    client.peek(len(b"data: first"))


@pytest.mark.parametrize("request_", [GET, OLD_GET], ids=["chunked", "to the end of the connection"])
@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
def test_it_gets_a_greenlet_exit_when_the_client_has_gone(
    serve: Serve, how: str, request_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running(connection), "HALF_CLOSE_GRACE", 0.0)
    events = Events()
    site = serve(application=events)
    client = site.connect(None)
    reads_the_first(client, request_)
    getattr(client, how)()
    events.ended.wait()
    assert isinstance(events.exit, gevent.GreenletExit)
    client.close()
    site.wait_until_empty()


def test_a_client_that_has_half_closed_before_gets_the_whole_of_a_finite_answer(serve: Serve) -> None:
    events = Events()
    client = serve(application=events).connect(None)
    client.send(GET)
    client.half_close()
    client.read_head()
    client.peek(len(b"data: first"))
    gevent.sleep(0.05)
    events.go_on.set()
    assert b"data: last" in client.read_to_end()
    assert events.exit is None


def test_so_does_one_that_half_closes_after_a_head_that_gives_the_length(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running(connection), "HALF_CLOSE_GRACE", 0.0)
    events = Events(("Content-Length", str(len(b"data: first\n\ndata: last\n\n"))))
    client = serve(application=events).connect(None)
    reads_the_first(client)
    client.half_close()
    gevent.sleep(0.05)
    events.go_on.set()
    assert client.read_to_end() == b"data: first\n\ndata: last\n\n"
    assert events.exit is None


def test_a_reset_ends_a_response_of_any_length(serve: Serve) -> None:
    events = Events(("Content-Length", "1000"))
    client = serve(application=events).connect(None)
    reads_the_first(client)
    client.reset()
    events.ended.wait()
    assert isinstance(events.exit, gevent.GreenletExit)


@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_an_option_turns_it_off(serve: Serve, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running(connection), "HALF_CLOSE_GRACE", 0.0)
    events = Events()
    client = serve(application=events, end_abandoned_responses=False).connect(None)
    reads_the_first(client)
    getattr(client, how)()
    gevent.sleep(0.1)
    assert not events.ended.is_set()
    events.go_on.set()
    events.ended.wait()
    assert not isinstance(events.exit, gevent.GreenletExit)


def test_an_application_that_computes_before_its_response_is_not_ended(serve: Serve) -> None:
    called, go_on, done = Signal(), Signal(), Signal()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        called.set()
        go_on.wait(LONG)
        done.set()
        start_response("200 OK", [])
        return [b"saved"]

    client = serve(application=application).connect(None)
    client.send(GET)
    called.wait()
    client.reset()
    gevent.sleep(0.05)
    go_on.set()
    assert done.wait(PATIENCE)


def test_a_client_that_leaves_after_a_while_is_told_apart_by_the_real_time(serve: Serve) -> None:
    events = Events()
    site = serve(application=events)
    client = site.connect(None)
    reads_the_first(client)
    gevent.sleep(connection.HALF_CLOSE_GRACE + 0.1)
    client.half_close()
    events.ended.wait()
    assert isinstance(events.exit, gevent.GreenletExit)
    assert client.read_to_end().endswith(b"data: first\n\n\r\n"), "the response is cut off, not completed"


@pytest.mark.parametrize("how", ["half_close", "reset"])
def test_one_in_a_greenlet_of_a_pool_is_ended_too(
    serve: Serve, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running(connection), "HALF_CLOSE_GRACE", 0.0)
    events = Events()
    site = serve(application=events, spawn=1)
    client = site.connect(None)
    reads_the_first(client)
    getattr(client, how)()
    events.ended.wait()
    assert isinstance(events.exit, gevent.GreenletExit)
    other = site.connect(None)
    reads_the_first(other)  # the pool has room again
    other.reset()


def test_one_over_tls_is_ended_at_the_end_of_the_tls_stream(
    serve: Serve, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running(connection), "HALF_CLOSE_GRACE", 0.0)
    events = Events()
    site = serve(application=events, ssl_context=certificates.server())
    sock = tls_socket(site.port, certificates.client())
    client = site.connect(None, sock=sock)
    reads_the_first(client)
    sock.unwrap()
    events.ended.wait()
    assert isinstance(events.exit, gevent.GreenletExit)


def test_what_wraps_the_events_is_closed(serve: Serve) -> None:
    # Frameworks return iterables whose close() ends the request: sessions, transactions, files.
    events, closed = Events(), Signal()

    class Wrapper:
        def __init__(self, inner: Iterator[bytes]) -> None:
            self.inner = inner

        def __iter__(self) -> Iterator[bytes]:
            return self.inner

        def close(self) -> None:
            closed.set()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Wrapper:
        start_response("200 OK", [])
        return Wrapper(events.events())

    client = serve(application=application).connect(None)
    reads_the_first(client)
    client.reset()
    assert closed.wait(PATIENCE)
    assert isinstance(events.exit, gevent.GreenletExit)


def test_an_application_that_goes_on_writes_to_nobody(serve: Serve) -> None:
    ended = Signal()
    errors: list[BaseException] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"data: first\n\n"
            gevent.sleep(LONG)
        except gevent.GreenletExit as error:
            errors.append(error)
        try:
            yield b"data: more\n\n"
        finally:
            ended.set()

    site = serve(application=application)
    client = site.connect(None)
    reads_the_first(client)
    client.reset()
    assert ended.wait(PATIENCE)
    assert len(errors) == 1
    site.wait_until_empty()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask clients that have ended their streams every second, and give up after one question."""
    values = {socket.TCP_KEEPIDLE: 1, socket.TCP_KEEPINTVL: 1, socket.TCP_KEEPCNT: 1}
    probes = [(level, option, values.get(option, value)) for level, option, value in transport.PROBES]
    monkeypatch.setattr(transport, "PROBES", probes)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("request_", [GET, OLD_GET], ids=["chunked", "to the end of the connection"])
def test_a_client_that_leaves_at_once_is_found_to_have_gone(
    serve: Serve, certificates: Certificates, request_: bytes, secure: bool
) -> None:
    events = Events()
    site = serve(application=events, **({"ssl_context": certificates.server()} if secure else {}))
    client = site.connect(None, sock=tls_socket(site.port, certificates.client()) if secure else None)
    # For how long its system knows of a socket that it has closed (tcp(7)); a minute by default.
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    reads_the_first(client, request_)
    client.close()
    events.ended.wait()
    assert isinstance(events.exit, gevent.GreenletExit)
    site.wait_until_empty()


@pytest.mark.usefixtures("soon")
def test_a_client_that_has_only_ended_its_stream_is_found_to_be_there(serve: Serve) -> None:
    events = Events()
    client = serve(application=events).connect(None)
    reads_the_first(client)
    client.half_close()
    gevent.sleep(4)
    events.go_on.set()
    assert b"data: last" in client.read_to_end()
    assert events.exit is None
