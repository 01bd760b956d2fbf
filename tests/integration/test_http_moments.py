"""What clients do at the wrong moment: an end or a reset while an answer is under way, and the like."""

from __future__ import annotations

import gevent

from tests.integration.conftest import Serve, Site
from tests.raw import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: h\r\n"


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"Hello"]


class TestLongHeads:
    """A head can be longer than what is read ahead behind a request."""

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
    """Wait until the only connection has answers that its peer does not take."""
    (channel,) = site.server._connections.peers
    with gevent.Timeout(PATIENCE):
        while not channel.awaits_room:
            gevent.sleep(0.005)


def test_a_half_close_behind_answers_that_wait_closes_when_they_have_left(serve: Serve) -> None:
    site = serve(application=large, keepalive_timeout=None)
    client = site.connect(None, receive_buffer=4096)
    wanted = 0
    # The last answer, and nothing but it, is to wait for the peer.
    while not any(channel.awaits_room for channel in site.server._connections.peers):
        client.send(GET + b"\r\n")
        wanted += 1
        gevent.sleep(0.002)
    gevent.sleep(0.02)
    client.half_close()
    gevent.sleep(0.02)
    assert client.read_to_end().count(b"HTTP/1.1 200 OK") == wanted
