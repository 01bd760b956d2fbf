"""Mistakes that only show when a service runs: they let nobody in, and the log says what to do."""

from __future__ import annotations

import logging
import ssl
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest

from geventkws import WebSocketCloseReasonCode as Code
from geventkws import WebSocketService
from geventkws.http.connection import LOST_UPGRADE, SPEAKS_TLS
from geventkws.once import MAX_TOLD
from geventkws.server.arrival import SPEAKS_PLAIN_HTTP
from tests.certificates import HOST, Certificates
from tests.integration.conftest import Recorder, Serve
from tests.raw import BINARY, TEXT, RawClient, masked, upgrade_request
from tests.tls import connected_socket
from tests.waiting import PATIENCE

Callback = Callable[..., Any]


async def coroutine(*args: object) -> None:
    pass


def generator(*args: object) -> Iterator[None]:
    yield


async def async_generator(*args: object) -> Any:
    yield


LAZY = [coroutine, generator, async_generator]


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """The types of errors passed to the hub's error handler, which would end this process."""
    given: list[type[BaseException]] = []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda context, kind, *rest: given.append(kind))
    return given


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors in the log, each with the text of its exception."""
    found = [record for record in caplog.records if record.levelname == "ERROR"]
    return [f"{record.getMessage()}: {record.exc_info[1]}" for record in found if record.exc_info]


def refused_by(serve: Serve, connecting: Callback) -> RawClient:
    class Gate(Recorder):
        pass

    Gate.connecting = lambda self, request: connecting(request)  # type: ignore[method-assign]
    service = Gate()
    client = serve(service).connect()
    service.expect_nothing_more()
    return client


@pytest.mark.logs_errors
class TestConnecting:
    @pytest.mark.parametrize("answer", [True, False, 0, "", "no", object(), 403])
    def test_whatever_it_returns_is_a_500_and_the_log_says_what_to_do(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, answer: object
    ) -> None:
        client = refused_by(serve, lambda request: answer)
        assert client.head.startswith("HTTP/1.1 500 ")
        assert client.read_to_end() == b"The service failed\n"
        [error] = errors(caplog)
        assert error.startswith("Gate.connecting failed for /service: connecting returned ")
        assert error.endswith("return nothing to accept, or raise HandshakeError(status, message) to refuse")

    @pytest.mark.parametrize("make", LAZY)
    def test_so_is_what_would_have_to_be_awaited(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, make: Callback
    ) -> None:
        with warnings.catch_warnings(record=True) as warned:
            client = refused_by(serve, make)
        assert client.head.startswith("HTTP/1.1 500 ")
        assert not warned
        [error] = errors(caplog)
        assert f"Gate.connecting returned a {make.__name__}" in error
        assert "make it a plain function" in error

    @pytest.mark.parametrize(
        "kind", [gevent.GreenletExit, gevent.Timeout, SystemExit, KeyboardInterrupt, MemoryError, ValueError]
    )
    def test_whatever_it_raises_is_a_500(
        self,
        serve: Serve,
        caplog: pytest.LogCaptureFixture,
        handled: list[type[BaseException]],
        kind: type[BaseException],
    ) -> None:
        def fail(request: object) -> None:
            raise kind

        client = refused_by(serve, fail)
        assert client.head.startswith("HTTP/1.1 500 ")
        client.read_to_end()
        assert len(errors(caplog)) == 1
        assert handled == ([kind] if kind in (SystemExit, KeyboardInterrupt) else [])

    def test_a_timeout_of_its_own_that_escapes_is_one(self, serve: Serve) -> None:
        def too_slow(request: object) -> None:
            with gevent.Timeout(0.01):
                gevent.sleep(PATIENCE)

        assert refused_by(serve, too_slow).head.startswith("HTTP/1.1 500 ")

    def test_an_attribute_that_was_changed_to_a_wrong_value_is_one(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        service = Recorder()
        site = serve(service)
        service.allowed_origins = 5  # type: ignore[assignment]  # the mistake
        client = site.connect("/service", "Origin: http://example.com")
        assert client.head.startswith("HTTP/1.1 500 ")
        assert errors(caplog)[0].startswith("The handshake of Recorder failed for /service: ")
        service.expect_nothing_more()


@pytest.mark.logs_errors
def test_accepting_for_a_service_that_cannot_work_is_a_500_and_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Chat(WebSocketService):
        async def received(self, message: object, connection: object) -> None:  # type: ignore[override]
            pass

    def application(environ: dict[str, Any], start_response: Callback) -> list[bytes]:
        environ["geventkws.upgrade"](Chat())
        return []

    client = serve(application=application).connect("/any")
    assert client.head.startswith("HTTP/1.1 500 ")
    assert "Chat.received is an async function" in errors(caplog)[0]


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


class TestForeignOrigins:
    def test_each_is_logged_once_for_each_service(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Strict(Recorder):
            allowed_origins = ("https://example.com",)

        site = serve(Recorder(), paths={"/strict": Strict()})
        for path in ("/service", "/service", "/strict"):
            client = site.connect(path, "Origin: http://evil.example")
            assert client.head.startswith("HTTP/1.1 403 ")
        site.connect("/service", "Origin: http://other.example")
        assert warnings_of(caplog) == [
            "Recorder refuses pages of the origin 'http://evil.example' with 403: the request's Host is"
            " '127.0.0.1', and allowed_origins is None. If the page is yours, let the proxy before the server"
            " pass Host on, or list the origin in allowed_origins",
            "Strict refuses pages of the origin 'http://evil.example' with 403: the request's Host is"
            " '127.0.0.1', and allowed_origins is ('https://example.com',). If the page is yours, list its"
            " origin in allowed_origins",
            "Recorder refuses pages of the origin 'http://other.example' with 403: the request's Host is"
            " '127.0.0.1', and allowed_origins is None. If the page is yours, let the proxy before the server"
            " pass Host on, or list the origin in allowed_origins",
        ]

    def test_strangers_cannot_fill_log_and_memory(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        site = serve(Recorder())
        for number in range(MAX_TOLD + 3):
            site.connect("/service", f"Origin: http://{number}.example" + "x" * 1000).close()
        told = warnings_of(caplog)
        assert len(told) == MAX_TOLD
        assert max(map(len, told)) < 600


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
