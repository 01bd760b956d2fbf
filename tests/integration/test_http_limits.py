"""How many requests and connections are allowed, and how a response that is cut off ends."""

from __future__ import annotations

from typing import Any

import pytest

from geventkws import WebSocketServer
from tests.integration.conftest import Serve, Site
from tests.integration.plain_http import GET, answered, exchange, hello
from tests.raw import RawClient

OLD_GET = b"GET / HTTP/1.0\r\n\r\n"


class TestRequestsOfAConnection:
    def test_the_last_one_says_that_it_is_the_last(self, serve: Serve) -> None:
        data = exchange(serve(application=hello, max_requests=3), GET * 5)
        assert data.count(b"HTTP/1.1 200 OK") == 3
        assert data.count(b"Connection: close") == 1
        assert data.rindex(b"Connection: close") > data.rindex(b"HTTP/1.1 200 OK")

    def test_there_may_be_no_limit(self, serve: Serve) -> None:
        data = exchange(serve(application=hello, max_requests=None, keepalive_timeout=0.1), GET * 5)
        assert data.count(b"HTTP/1.1 200 OK") == 5

    def test_a_long_target_is_answered_with_414(self, serve: Serve) -> None:
        site = serve(application=hello, max_target_size=100)
        assert exchange(site, b"GET /%b" % (b"a" * 200)).startswith(b"HTTP/1.1 414 ")


class TestTheServersName:
    @pytest.mark.parametrize(("name", "line"), [("me/1.0", b"Server: me/1.0\r\n"), (None, None)])
    def test_it_can_be_chosen_for_each_kind_of_answer(self, serve: Serve, name, line) -> None:
        site = serve(application=hello, server_header=name, max_connections=1)
        for data in (exchange(site, GET + b"BAD\r\n\r\n"), self._turned_away(site)):
            assert data.count(b"Server: ") == (data.count(b"HTTP/1.1 ") if line else 0)
            assert line is None or line in data

    @staticmethod
    def _turned_away(site: Site) -> bytes:
        site.wait_until_empty()
        answered(site.connect(None))
        return exchange(site, GET)

    @pytest.mark.parametrize("name", ["a\r\nb", "", "ü"])
    def test_what_is_not_a_field_value_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="server_header"):
            WebSocketServer(("127.0.0.1", 0), server_header=name)


class TestResponsesThatAreCutOff:
    """With HTTP/1.0, the end of the connection is the end of the body, unless it is a reset."""

    @pytest.mark.logs_errors
    def test_an_error_after_the_head_is_seen(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"part"
            raise ValueError("x")

        site = serve(application=application)
        with RawClient(site.port) as client:
            client.send(OLD_GET)
            with pytest.raises(ConnectionResetError):
                client.read_to_end()

    def test_a_whole_response_ends_without_a_reset(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"part"

        assert exchange(serve(application=application), OLD_GET).endswith(b"\r\n\r\npart")


class TestTurns:
    def test_many_requests_in_a_row_are_answered(self, serve: Serve) -> None:
        site = serve(application=hello, max_requests=10 * 32)
        with RawClient(site.port) as client:
            client.send(GET * 10 * 32)
            assert client.read_to_end().count(b"HTTP/1.1 200 OK") == 10 * 32


class TestOptions:
    @pytest.mark.parametrize("value", ["10.0.0.1", 5, None])
    def test_trusted_proxies_are_a_list(self, value) -> None:
        with pytest.raises(TypeError, match="trusted_proxies"):
            WebSocketServer(("127.0.0.1", 0), trusted_proxies=value)

    @pytest.mark.parametrize("value", ["proxy.example", "10.0.0.1/8"])
    def test_trusted_proxies_are_addresses_and_networks(self, value: str) -> None:
        with pytest.raises(ValueError, match="trusted_proxies"):
            WebSocketServer(("127.0.0.1", 0), trusted_proxies=[value])

    @pytest.mark.parametrize("name", ["server_header", "proxy_protocol", "max_connections", "max_requests"])
    def test_a_value_of_another_type_is_refused(self, name: str) -> None:
        options: dict[str, Any] = {name: 1.5}
        with pytest.raises(TypeError, match=name):
            WebSocketServer(("127.0.0.1", 0), **options)


def test_a_server_needs_something_that_makes_greenlets() -> None:
    with pytest.raises(TypeError, match="spawn"):
        WebSocketServer(("127.0.0.1", 0), hello, spawn=None)
