"""From an upgrade request to a connection: what a service says to it; its mistakes let nobody in."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from geventkws import WebSocketService
from geventkws.once import MAX_TOLD
from tests.integration.conftest import Recorder, Serve
from tests.integration.lazy_callbacks import LAZY, errors
from tests.raw import RawClient
from tests.waiting import PATIENCE

Callback = Callable[..., Any]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """The types of errors passed to the hub's error handler, which would end this process."""
    given: list[type[BaseException]] = []
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda context, kind, *rest: given.append(kind))
    return given


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
