"""Mistakes that only show when a service runs: they let nobody in, and the log says what to do."""

from __future__ import annotations

import logging
import ssl
import warnings
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from geventkws import WebSocketCloseReasonCode as Code
from geventkws import WebSocketService
from geventkws.http.connection import LOST_UPGRADE, SPEAKS_TLS
from geventkws.server.arrival import SPEAKS_PLAIN_HTTP
from tests.certificates import HOST, Certificates
from tests.integration.conftest import Recorder, Serve
from tests.integration.lazy_callbacks import LAZY, coroutine, errors
from tests.raw import BINARY, TEXT, masked, upgrade_request
from tests.tls import connected_socket
from tests.waiting import PATIENCE

Callback = Callable[..., Any]


@pytest.mark.logs_errors
class TestOtherCallbacks:
    @pytest.mark.parametrize("make", LAZY)
    @pytest.mark.parametrize("name", ["connected", "received", "received_text", "run"])
    def test_one_that_did_not_run_closes_with_1011(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, name: str, make: Callback
    ) -> None:
        hidden = {"connected": lambda self, connection: None, name: lambda self, *args: make(*args)}
        with warnings.catch_warnings(record=True) as warned:
            client = serve(type("Hidden", (WebSocketService,), hidden)()).connect()
            client.send(masked(TEXT, "hello"))
            assert client.close_code()[0] == Code.SERVER_ERROR
        assert not warned
        [error] = errors(caplog)
        told = "received" if name == "received_text" else name
        assert f"Hidden.{told} returned a {make.__name__}" in error
        assert f"({make.__name__}), which has not run: make it a plain function" in error

    def test_disconnected_is_checked_too(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        hidden = {"received": lambda *args: None, "disconnected": lambda self, *args: coroutine(*args)}
        site = serve(type("Hidden", (WebSocketService,), hidden)())
        with warnings.catch_warnings(record=True) as warned:
            site.connect().reset()
            site.wait_until_empty()
        assert not warned
        assert "Hidden.disconnected returned a coroutine" in errors(caplog)[0]


def test_what_a_callback_returns_otherwise_is_its_own_business(serve: Serve) -> None:
    returning = {
        "connected": lambda self, connection: connection.send("hello"),
        "received": lambda self, message, connection: connection.send(message),
    }
    client = serve(type("Returning", (WebSocketService,), returning)()).connect()
    client.send(masked(TEXT, "again"))
    assert [client.frame().payload, client.frame().payload] == [b"hello", b"again"]


def test_a_message_that_nobody_handles_is_logged_once_for_each_service_and_type(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class OnlyText(WebSocketService):
        def received_text(self, message: str, connection: object) -> None:
            pass

    site = serve(OnlyText(), paths={"/other": OnlyText()})
    for path in ("/service", "/service", "/other"):
        client = site.connect(path)
        client.send(masked(BINARY, b"x"))
        assert client.close_code() == (Code.INVALID_DATA_TYPE, "Binary messages are not accepted here")
    told = warnings_of(caplog)
    assert len(told) == 2
    assert "define received_binary(self, message, connection), or received" in told[0]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_proxy_that_does_not_pass_upgrades_on_is_told_of_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(Recorder())
    for _ in range(2):
        client = site.connect(None)
        lines = upgrade_request("/service").replace(b"HTTP/1.1", b"HTTP/1.0").split(b"\r\n")
        hop_by_hop = (b"Upgrade:", b"Connection:")
        client.send(b"\r\n".join(line for line in lines if not line.startswith(hop_by_hop)))
        assert client.read_head().startswith("HTTP/1.1 404 ")
    assert warnings_of(caplog) == [LOST_UPGRADE]


class TestTLS:
    """Each server logs once that a client speaks TLS to a plain port, or the other way round."""

    def test_a_client_that_speaks_tls_to_a_plain_port(
        self, serve: Serve, certificates: Certificates, caplog: pytest.LogCaptureFixture
    ) -> None:
        for site in (serve(Recorder()), serve(Recorder())):
            for _ in range(2):
                with connected_socket(site.port) as sock, pytest.raises(ssl.SSLError):
                    certificates.client().wrap_socket(sock, server_hostname=HOST)
            site.wait_until_empty()
        assert warnings_of(caplog) == 2 * [SPEAKS_TLS]

    def test_a_client_that_speaks_plain_http_to_a_tls_port(
        self, serve: Serve, certificates: Certificates, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = serve(Recorder(), certfile=certificates.bothfile)
        for _ in range(2):
            assert site.connect().head.startswith("HTTP/1.1 400 ")
        assert warnings_of(caplog) == [SPEAKS_PLAIN_HTTP]

    @pytest.mark.parametrize("start", [b"\x16", b"\x16\x02", b"\x03\x16\x03"])
    def test_other_bytes_are_not_a_mistake(
        self, serve: Serve, start: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        client = serve(Recorder()).connect(None)
        client.send(start)
        assert client.read_to_end().endswith(b"The bytes received are not an HTTP request\n")
        assert not warnings_of(caplog)

    def test_a_handler_of_the_log_may_wait(self, serve: Serve) -> None:
        class Slow(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                gevent.sleep(0.001)
                told.append(record.getMessage())

        told: list[str] = []
        slow = Slow(logging.WARNING)
        logging.getLogger("geventkws.server").addHandler(slow)
        try:
            client = serve(Recorder()).connect(None)
            client.send(b"\x16\x03\x01")
            client.read_to_end()
            with gevent.Timeout(PATIENCE):
                while not told:
                    gevent.sleep(0.005)
        finally:
            logging.getLogger("geventkws.server").removeHandler(slow)
        assert told == [SPEAKS_TLS]
