"""``request_timeout``: an application that does not answer is ended, by a clock that the test moves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal

from geventkws import WebSocketConnection, WebSocketService
from geventkws.http.connection import HTTPConnection
from geventkws.http.errors import ApplicationTimeoutError
from geventkws.http.stream import NEVER
from geventkws.loop.channel import Channel
from tests.helpers import in_hub
from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import upgrade_request
from tests.waiting import LONG, wait_until

LIMIT = 1000
"""Seconds, which pass only by the clock of a test."""

CLOSE_TIMEOUT = 100

GET = b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"

StartResponse = Callable[..., Callable[[bytes], object]]

pytestmark = pytest.mark.usefixtures("in_time")


@pytest.fixture
def serve_limited(serve: Serve) -> Serve:
    def start(*args: Any, **options: Any) -> Site:
        return serve(*args, request_timeout=LIMIT, close_timeout=CLOSE_TIMEOUT, **options)

    return start


class Slow:
    """An application that waits before it answers, and notes how that ends."""

    def __init__(self) -> None:
        self.called, self.go_on, self.ended = Signal(), Signal(), Signal()
        self.error: BaseException | None = None

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.called.set()
        try:
            self.wait_for_the_database()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.set()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def wait_for_the_database(self) -> None:
        self.go_on.wait(LONG)


def peers(site: Site) -> list[Channel]:
    return list(site.server._connections.peers)


def only(site: Site) -> HTTPConnection:
    """Return the only connection of a site."""
    (channel,) = peers(site)
    assert isinstance(channel.owner, HTTPConnection)
    return channel.owner


def after(site: Site, seconds: float) -> None:
    """Let the clock look at the only connection as if the time were so much later."""
    in_hub(only(site)._check, monotonic() + seconds)


@pytest.mark.logs_errors
def test_it_is_answered_with_503_and_the_connection_closes(serve_limited: Serve) -> None:
    slow = Slow()
    site = serve_limited(application=slow)
    client = site.connect(None)
    client.send(GET)
    slow.called.wait()
    after(site, LIMIT / 2)
    gevent.sleep(0.01)
    assert not slow.ended.is_set()
    after(site, LIMIT)
    head = client.read_head()
    assert head.startswith("HTTP/1.1 503 ")
    assert "Connection: close" in head
    assert client.read_to_end() == b"The server took too long to answer this request\n"
    assert isinstance(slow.error, ApplicationTimeoutError)
    client.close()
    site.wait_until_empty()


@pytest.mark.logs_errors
@pytest.mark.parametrize("spawn", ["default", 1], ids=["a lent greenlet", "a pool"])
def test_the_log_says_where_the_application_was(
    serve_limited: Serve, caplog: pytest.LogCaptureFixture, spawn: Any
) -> None:
    slow = Slow()
    site = serve_limited(application=slow, spawn=spawn)
    client = site.connect(None)
    client.send(GET)
    slow.called.wait()
    after(site, LIMIT)
    assert client.read_head().startswith("HTTP/1.1 503 ")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    message = record.getMessage()
    assert message.startswith(
        "The application has not answered GET '/slow' within 1000 s, and is ended here:\n"
    )
    assert "in wait_for_the_database\n    self.go_on.wait(LONG)" in message


def test_who_answers_in_time_is_left_alone(serve_limited: Serve) -> None:
    slow = Slow()
    site = serve_limited(application=slow)
    client = site.connect(None)
    client.send(GET)
    slow.called.wait()
    slow.go_on.set()
    assert "200 OK" in client.read_head()
    assert client.read_body(2) == b"ok"
    assert only(site).stream.answer_by == NEVER


def test_a_response_may_take_its_time_once_its_head_is_sent(serve_limited: Serve) -> None:
    go_on = Signal()

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        yield b"first"
        go_on.wait(LONG)
        yield b"final"

    site = serve_limited(application=application)
    client = site.connect(None)
    client.send(GET)
    client.read_head()
    after(site, 10 * LIMIT)
    go_on.set()
    assert client.read_body(10) == b"firstfinal"


@pytest.mark.logs_errors
def test_an_application_that_does_not_end_is_left_without_its_client(serve_limited: Serve) -> None:
    called, go_on, ended = Signal(), Signal(), Signal()

    def stubborn(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        called.set()
        while not go_on.is_set():
            with suppress(ApplicationTimeoutError):
                go_on.wait(LONG)
        ended.set()
        start_response("200 OK", [])
        return [b"too late"]

    site = serve_limited(application=stubborn)
    client = site.connect(None)
    client.send(GET)
    called.wait()
    after(site, LIMIT)
    gevent.sleep(0.01)
    after(site, LIMIT + CLOSE_TIMEOUT / 2)
    assert only(site).channel.is_open
    after(site, LIMIT + 2 * CLOSE_TIMEOUT)
    assert client.read_to_end() == b""
    go_on.set()
    ended.wait()
    site.wait_until_empty()


@pytest.mark.logs_errors
def test_an_application_may_answer_in_its_own_way(serve_limited: Serve) -> None:
    called = Signal()

    def polite(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        called.set()
        try:
            gevent.sleep(LONG)
        except ApplicationTimeoutError:
            start_response("504 Gateway Timeout", [])
        return [b"the database is slow"]

    site = serve_limited(application=polite)
    client = site.connect(None)
    client.send(GET)
    called.wait()
    after(site, LIMIT)
    head = client.read_head()
    assert head.startswith("HTTP/1.1 504 ")
    assert "Connection: close" in head
    assert client.read_to_end() == b"the database is slow"


@pytest.mark.logs_errors
def test_one_that_has_sent_its_head_just_then_is_cut_off(serve_limited: Serve) -> None:
    called, go_on = Signal(), Signal()

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterator[bytes]:
        called.set()
        go_on.wait(LONG)
        start_response("200 OK", [("Content-Length", "10")])
        yield b"first"
        gevent.sleep(LONG)
        yield b"final"

    site = serve_limited(application=application)
    client = site.connect(None)
    client.send(GET)
    called.wait()

    def both() -> None:
        go_on.set()  # who waits for it is called first
        only(site)._check(monotonic() + LIMIT)

    in_hub(both)
    answer = client.read_to_end()
    assert b" 503 " not in answer
    assert not answer.endswith(b"final")


def test_the_time_of_a_slow_upload_is_not_the_applications(serve_limited: Serve) -> None:
    def application(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        size = len(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "2")])
        return [b"%02d" % size]

    site = serve_limited(application=application, body_timeout=None)
    client = site.connect(None)
    for head in ("Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\na\r\n"):
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\n" + head.encode() + b"first")
        wait_until(lambda: peers(site) and only(site).stream.receiver)
        after(site, LIMIT)
        assert only(site).stream.answer_by != NEVER
        gevent.sleep(0.01)
        client.send(b"final" + (b"\r\n0\r\n\r\n" if "chunked" in head else b""))
        client.read_head()
        assert client.read_body(2) == b"10"


@pytest.mark.logs_errors
def test_connecting_has_no_more_time(serve_limited: Serve) -> None:
    called = Signal()

    class Slow(WebSocketService):
        def connecting(self, request: Any) -> None:
            called.set()
            gevent.sleep(LONG)

        def connected(self, connection: WebSocketConnection) -> None:
            pytest.fail("the client was let in")

    site = serve_limited(Slow())
    client = site.connect(None)
    client.send(upgrade_request("/service"))
    called.wait()
    after(site, LIMIT)
    assert client.read_head().startswith("HTTP/1.1 503 ")


def test_a_websocket_lasts_longer(serve_limited: Serve) -> None:
    service = Recorder()
    site = serve_limited(service)
    site.connect()
    service.expect("connected")
    (channel,) = site.server._connections.peers
    in_hub(channel.owner._check, monotonic() + 10 * LIMIT)
    assert service.connections[0].active


def test_a_connection_that_the_application_has_taken_lasts_longer(serve_limited: Serve) -> None:
    taken, go_on = Signal(), Signal()

    def application(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
        environ["geventkws.socket"].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        taken.set()
        go_on.wait(LONG)
        environ["geventkws.socket"].sendall(b"still here")
        return []

    site = serve_limited(application=application)
    client = site.connect(None)
    client.send(upgrade_request("/"))
    taken.wait()
    after(site, 10 * LIMIT)
    gevent.sleep(0.01)
    go_on.set()
    assert "101" in client.read_head()
    assert client.read_body(10) == b"still here"


def test_without_a_limit_there_is_none(serve: Serve) -> None:
    slow = Slow()
    site = serve(application=slow)
    client = site.connect(None)
    client.send(GET)
    slow.called.wait()
    assert only(site).stream.answer_by == NEVER
    slow.go_on.set()
    client.read_head()


@pytest.mark.logs_errors
def test_the_clock_looks_by_itself(serve: Serve) -> None:
    slow = Slow()
    client = serve(application=slow, request_timeout=0.2).connect(None)
    client.send(GET)
    assert client.read_head().startswith("HTTP/1.1 503 ")
