"""What clients do at the wrong moment: an end or a reset while an answer is under way, and the like."""

from __future__ import annotations

from tests.integration.conftest import Serve

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
