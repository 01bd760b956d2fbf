"""What clients do at the wrong moment: an end or a reset in the middle of a response, and the like."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.event import Event as Signal
from gevent.pool import Pool

import geventkws.http.connection
from geventkws.http.stream import Stream
from geventkws.server.reception import MAX_TURNED_AWAY
from tests.helpers import running
from tests.integration.conftest import Serve, Site
from tests.waiting import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: h\r\n"


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"Hello"]


class TestLongHeads:
    """A head can be longer than what is read ahead after a request."""

    LINE = b"X: %b\r\n" % (b"a" * 1000)

    def test_one_that_is_allowed_is_read_to_its_end(self, serve: Serve) -> None:
        client = serve(application=hello, max_head_size=256 * 1024).connect(None)
        client.send(GET + self.LINE * 90 + b"\r\n")
        assert client.read_head().startswith("HTTP/1.1 200 ")

    def test_one_that_is_too_long_is_refused_as_soon_as_that_is_seen(self, serve: Serve) -> None:
        client = serve(application=hello).connect(None)
        client.send(GET + self.LINE * 90)
        assert client.read_head().startswith("HTTP/1.1 431 ")


def large(environ, start_response):
    start_response("200 OK", [("Content-Length", "60000")])
    return [bytes(60000)]


def wait_until_stuck(site: Site) -> None:
    """Wait until the only connection has responses that its peer does not take."""
    (channel,) = site.server._connections.peers
    with gevent.Timeout(PATIENCE):
        while not channel.awaits_room:
            gevent.sleep(0.005)


def test_a_half_close_while_answers_wait_closes_once_they_have_left(serve: Serve) -> None:
    site = serve(application=large, keepalive_timeout=None)
    client = site.connect(None, receive_buffer=4096)
    wanted = 0
    # Only the last response must wait for the peer.
    while not any(channel.awaits_room for channel in site.server._connections.peers):
        client.send(GET + b"\r\n")
        wanted += 1
        gevent.sleep(0.002)
    gevent.sleep(0.02)
    client.half_close()
    gevent.sleep(0.02)
    assert client.read_to_end().count(b"HTTP/1.1 200 OK") == wanted


class TestResetsWithinAnAnswer:
    """The application learns of it when it writes, and nothing is logged as its mistake."""

    def test_one_in_a_file_that_the_kernel_sends(self, serve: Serve, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(bytes(30_000_000))

        def send_file(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](path.open("rb"))

        site = serve(application=send_file)
        client = site.connect(None, receive_buffer=4096)
        client.send(GET + b"\r\n")
        client.peek(1)
        gevent.sleep(0.1)  # until the kernel takes no more of it
        client.reset()
        site.wait_until_empty()  # and ``no_tracebacks`` finds no error

    def test_one_in_a_write_raises_there(self, serve: Serve) -> None:
        raised: AsyncResult[int] = AsyncResult()

        def write(environ, start_response):
            write = start_response("200 OK", [("Content-Length", "30000000")])
            try:
                # When the peer goes, only a block that waits for room is left.
                while True:
                    write(bytes(100_000))
                    count.append(1)
            except OSError:
                raised.set(len(count))
                raise

        count: list[int] = []
        site = serve(application=write)
        client = site.connect(None, receive_buffer=4096)
        client.send(GET + b"\r\n")
        client.peek(1)
        wait_until_stuck(site)
        complete = len(count)
        client.reset()
        assert raised.get(timeout=PATIENCE) == complete


def test_an_http_1_0_response_that_stop_cuts_off_is_reset(serve: Serve) -> None:
    """The end of the connection is the end of the response, so a FIN would say that it was complete."""

    def endless(environ, start_response):
        start_response("200 OK", [])
        yield b"part"
        Signal().wait(PATIENCE)

    site = serve(application=endless)
    client = site.connect(None)
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    client.read_head()
    assert client.read_body(4) == b"part"
    site.server.stop(timeout=0.05)
    with pytest.raises(ConnectionResetError):
        client.read_to_end()


def test_one_greenlet_may_read_the_body_while_another_writes(serve: Serve) -> None:
    body: AsyncResult[bytes] = AsyncResult()

    def both_ways(environ, start_response):
        reader = gevent.spawn(environ["wsgi.input"].read)
        gevent.sleep(0.01)
        write = start_response("200 OK", [("Content-Length", "10000000")])
        write(bytes(10_000_000))
        body.set(reader.get(timeout=PATIENCE))
        return []

    site = serve(application=both_ways)
    client = site.connect(None, receive_buffer=4096)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
    client.peek(1)
    wait_until_stuck(site)
    client.send(b"0123456789")
    client.read_head()
    client.read_body(10_000_000)
    assert body.get(timeout=PATIENCE) == b"0123456789"


def test_a_body_that_arrives_while_100_continue_is_sent_is_not_awaited_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def echo(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    class LateStream(Stream):
        """Before it sends what the client waits for, waits a while for its turn, as among many others."""

        def take_turn(self) -> None:
            gevent.sleep(0.05)

    monkeypatch.setattr(running(geventkws.http.connection), "Stream", LateStream)
    client = serve(application=echo, body_timeout=1.0).connect(None)
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    gevent.sleep(0.075)
    client.send(b"body")
    assert client.read_head().startswith("HTTP/1.1 100 ")
    assert client.read_head().startswith("HTTP/1.1 200 ")
    assert client.read_body(4) == b"body"


class WaitingHandler(logging.Handler):
    """A log handler that waits, like one that sends the log somewhere."""

    def emit(self, record: logging.LogRecord) -> None:
        gevent.sleep(0.01)


@pytest.fixture
def waiting_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    handler = WaitingHandler()
    caplog.set_level(logging.INFO, "geventkws.access")
    logger = logging.getLogger("geventkws.access")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    with gevent.Timeout(PATIENCE):
        handler.acquire()  # after all who still wait for it
        handler.release()


@pytest.mark.usefixtures("waiting_log")
class TestALogThatWaits:
    """The server sends its own responses in the hub, where nobody can wait."""

    def test_a_malformed_request_gets_its_answer(self, serve: Serve) -> None:
        clients = [serve(application=hello).connect(None) for _ in range(2)]
        for client in clients:
            client.send(b"malformed\r\n\r\n")
        for client in clients:
            assert client.read_head().startswith("HTTP/1.1 400 ")

    def test_those_turned_away_get_theirs_and_are_no_longer_counted(self, serve: Serve) -> None:
        site = serve(application=hello, max_connections=1)
        first = site.connect(None)
        clients = [site.connect(None) for _ in range(MAX_TURNED_AWAY)]
        for client in clients:
            assert client.read_head().startswith("HTTP/1.1 503 ")
            client.close()
        first.close()
        site.wait_until_empty()
        assert not site.server._reception.is_overrun


def test_a_request_that_waits_for_the_pool_when_the_server_has_stopped_is_not_begun(serve: Serve) -> None:
    seen = []

    def note(environ, start_response):
        seen.append(environ["PATH_INFO"])
        Signal().wait(PATIENCE)

    site = serve(application=note, spawn=Pool(1))
    for path in (b"/1", b"/2"):
        site.connect(None).send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)
        gevent.sleep(0.05)
    site.server.stop(timeout=0.05)
    gevent.sleep(0.05)
    assert seen == ["/1"]
    assert not site.server.http_connections


@pytest.mark.parametrize("half_closes", [False, True])
def test_stop_does_not_wait_for_the_rest_of_a_write_that_it_has_ended(
    serve: Serve, caplog: pytest.LogCaptureFixture, half_closes: bool
) -> None:
    def write(environ, start_response):
        start_response("200 OK", [])
        return [bytes(30_000_000)]

    site = serve(application=write)
    client = site.connect(None, receive_buffer=4096)
    client.send(GET + b"\r\n")
    client.peek(1)
    wait_until_stuck(site)
    if half_closes:
        client.half_close()
    site.server.stop(timeout=0.05)
    assert "Some callbacks did not end in time" not in caplog.text
