"""python-engineio on our frames by ``install``: the real package, served by geventkws."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any

import engineio
import pytest
import requests
from gevent.event import AsyncResult, Event

from geventkws.compat import install
from geventkws.compat.engineio import DRIVERS, MODES, EngineWebSocket, SimpleWebSocketWSGI
from tests.compat.conftest import installed
from tests.integration.conftest import Serve
from tests.raw import BINARY, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE

PATH = "/engine.io/?EIO=4&transport=websocket"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"


@pytest.fixture(autouse=True)
def ours() -> Iterator[None]:
    """Our frames, in this test only."""
    with installed():
        yield


def echo(mode: str = "gevent", **options: Any) -> Any:
    """Return an application that sends back what it receives."""
    server = engineio.Server(async_mode=mode, monitor_clients=False, **options)
    server.on("message", server.send)
    return engineio.WSGIApp(server)


def opened(client: RawClient) -> dict[str, Any]:
    """Read the packet that opens a session, and return what it says."""
    packet = client.frame().payload.decode()
    assert packet[0] == "0"
    session: dict[str, Any] = json.loads(packet[1:])
    return session


def close(client: RawClient) -> None:
    client.send(close_frame(1000))
    assert client.close_code() == (1000, "")
    client.close()


@pytest.mark.parametrize("mode", MODES)
def test_messages_go_both_ways(mode: str, serve: Serve) -> None:
    site = serve(application=echo(mode))
    client = site.connect(PATH)
    assert opened(client)["upgrades"] == []
    client.send(masked(TEXT, "4häh") + masked(BINARY, b"\0\1"))
    assert [client.frame(), client.frame()] == [Frame(TEXT, "4häh".encode()), Frame(BINARY, b"\0\1")]
    close(client)
    site.wait_until_empty()


def test_a_server_from_before_uses_them_too(serve: Serve) -> None:
    for mode in MODES:
        driver = import_module(f"{DRIVERS}.{mode}")._async
        driver["websocket"] = driver["websocket"].args[0]
    application = echo()
    install()
    client = serve(application=application, upgrade_compression=True).connect(PATH, OFFER)
    assert OFFER in client.head


def test_a_second_call_changes_nothing() -> None:
    before = {mode: import_module(f"{DRIVERS}.{mode}")._async["websocket"] for mode in MODES}
    install()
    assert before == {mode: import_module(f"{DRIVERS}.{mode}")._async["websocket"] for mode in MODES}


def test_a_closed_session_closes_the_connection(serve: Serve) -> None:
    site = serve(application=echo())
    client = site.connect(PATH)
    opened(client)
    client.send(masked(TEXT, "1"))
    assert client.close_code() == (1000, "")
    client.send(close_frame(1000))
    client.read_to_end()
    site.wait_until_empty()


@pytest.mark.logs_errors
def test_a_second_websocket_of_a_session_is_refused_and_does_not_disturb_the_first(serve: Serve) -> None:
    site = serve(application=echo())
    polled = requests.get(
        f"http://127.0.0.1:{site.port}/engine.io/?EIO=4&transport=polling", timeout=PATIENCE
    )
    path = f"{PATH}&sid={json.loads(polled.text[1:])['sid']}"
    client = site.connect(path)
    client.send(masked(TEXT, "2probe"))
    assert client.frame() == Frame(TEXT, b"3probe")
    client.send(masked(TEXT, "5"))
    assert client.frame() == Frame(TEXT, b"6")  # the upgrade is complete
    assert site.connect(path).head.startswith("HTTP/1.1 400 ")
    client.send(masked(TEXT, "4still here"))
    assert client.frame() == Frame(TEXT, b"4still here")
    close(client)


def test_the_size_of_messages_is_limited_by_engineios_own_option(serve: Serve) -> None:
    client = serve(application=echo(max_http_buffer_size=2**21)).connect(PATH)
    assert opened(client)["maxPayload"] == 2**21
    text = "4" + "x" * (2**21 - 1)
    client.send(masked(TEXT, text))
    assert client.frame() == Frame(TEXT, text.encode())
    client.send(masked(TEXT, text + "x"))
    assert client.close_code()[0] == 1009


def test_messages_are_compressed_if_the_server_allows_it(serve: Serve) -> None:
    assert OFFER in serve(application=echo(), upgrade_compression=True).connect(PATH, OFFER).head
    assert "Extensions" not in serve(application=echo()).connect(PATH, OFFER).head


def test_pages_of_other_origins_get_403(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    application = echo(cors_allowed_origins="*")
    evil = "Origin: http://evil.example"
    assert serve(application=application).connect(PATH, evil).head.startswith("HTTP/1.1 403 ")
    assert "list the origin in upgrade_origins" in caplog.text
    site = serve(application=application, upgrade_origins="*")
    assert site.connect(PATH, evil).head.startswith("HTTP/1.1 101 ")


class EngineServer:
    """What a WebSocket asks of engineio's server."""

    max_http_buffer_size = 100


def test_the_end_is_told(serve: Serve) -> None:
    outcome: AsyncResult[list[object]] = AsyncResult()

    def handle(ws: EngineWebSocket) -> list[bytes]:
        seen: list[object] = [ws.wait(), ws.wait()]
        with pytest.raises(OSError, match="has ended"):
            ws.send("x")
        ws.close()
        outcome.set(seen)
        return []

    client = serve(application=EngineWebSocket(object, handle, EngineServer())).connect("/")
    client.send(masked(TEXT, "last") + close_frame(1000))
    assert outcome.get(timeout=PATIENCE) == ["last", None]
    assert client.close_code() == (1000, "")


@pytest.mark.logs_errors
def test_a_failure_closes_with_1011(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def handle(ws: EngineWebSocket) -> list[bytes]:
        raise LookupError

    client = serve(application=EngineWebSocket(object, handle, EngineServer())).connect("/")
    assert client.close_code()[0] == 1011
    assert "The application failed" in caplog.text


def test_that_a_client_has_gone_is_no_failure(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def handle(ws: EngineWebSocket) -> list[bytes]:
        assert ws.wait() is None
        ws.send("x")  # as engineio does in the middle of an upgrade from polling
        return []

    site = serve(application=EngineWebSocket(object, handle, EngineServer()))
    client = site.connect("/")
    client.send(close_frame(1000))
    assert client.close_code() == (1000, "")
    client.close()
    site.wait_until_empty()
    assert "The application failed" not in caplog.text


def test_a_client_that_goes_before_the_handshake_is_answered(serve: Serve) -> None:
    asked, go_on, over = Event(), Event(), Event()

    def handle(ws: EngineWebSocket) -> list[bytes]:
        assert ws.wait() is None
        with pytest.raises(OSError, match="has ended"):
            ws.send("x")
        ws.close()
        over.set()
        return []

    def app(environ, start_response):
        asked.set()
        go_on.wait(PATIENCE)
        return EngineWebSocket(object, handle, EngineServer())(environ, start_response)

    site = serve(application=app)
    site.lose_client_meanwhile(asked, go_on)
    assert over.wait(PATIENCE)
    site.wait_until_empty()


def test_under_another_server_theirs_are_used() -> None:
    def theirs(handle: object, server: object) -> Any:
        return lambda environ, start_response: [handle, server, environ]

    assert list(EngineWebSocket(theirs, list, "server")({}, print)) == [list, "server", {}]


class TestWithoutSimpleWebSocket:
    """Where simple-websocket is not installed."""

    def test_its_class_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "simple_websocket", None)
        monkeypatch.delitem(sys.modules, f"{DRIVERS}._websocket_wsgi")
        monkeypatch.delitem(sys.modules, f"{DRIVERS}.threading")
        install()
        made = import_module(f"{DRIVERS}.threading")._async["websocket"]
        assert isinstance(made, partial)
        assert made.args == (SimpleWebSocketWSGI,)

    def test_another_server_has_no_websockets(self) -> None:
        with pytest.raises(RuntimeError, match="simple-websocket is not installed"):
            SimpleWebSocketWSGI(list, EngineServer())({}, print)

    def test_something_must_be_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("simple_websocket", "engineio"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match="neither is installed"):
            install()
