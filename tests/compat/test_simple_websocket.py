"""Applications of simple-websocket and flask-sock: the real packages, served by geventkws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event
from simple_websocket import ConnectionClosed, Server

from tests.certificates import Certificates
from tests.compat.conftest import Run, installed
from tests.garbage import no_channel_left, no_collector
from tests.integration.conftest import Serve
from tests.raw import BINARY, PING, PONG, TEXT, Frame, RawClient, close_frame, masked
from tests.tls import tls_socket
from tests.waiting import PATIENCE

__all__ = ["no_collector"]


def ends(client: RawClient, code: int = 1000, text: str = "") -> None:
    """Read the close frame, answer it and read the end, so that the server is rid of the connection."""
    assert client.close_code() == (code, text)
    client.send(close_frame(code))
    client.read_to_end()


@pytest.fixture(params=["theirs", "ours"])
def frames(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whose frames are used in this process: those of simple-websocket, or ours by ``install``."""
    with installed() if request.param == "ours" else nullcontext():
        yield request.param


@pytest.mark.parametrize("module", ["flask_sock_app", "flask_sock_installed_app"])
def test_flask_sock(module: str, run: Run) -> None:
    port = run(module)
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=20).text == "page"
    with RawClient(port, "/echo/ann", "Sec-WebSocket-Protocol: other, chat.example") as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        assert client.frame() == Frame(TEXT, b"chat.example")
        client.send(masked(TEXT, "hi") + masked(BINARY, b"\0"))
        assert [client.frame(), client.frame()] == [Frame(TEXT, b"ann hi"), Frame(BINARY, b"\0")]
        client.send(masked(PING, "?"))
        assert client.frame() == Frame(PONG, b"?")
        client.send(masked(TEXT, "bye"))
        ends(client)
    with RawClient(port, "/patient") as client:
        assert client.frame() == Frame(TEXT, b"nothing")
        client.send(masked(TEXT, "why"))
        ends(client, 4001, "why")
    with RawClient(port, "/echo/ann") as client:
        assert client.frame() == Frame(TEXT, b"None")
        client.send(masked(TEXT, "x" * 101))
        assert client.close_code()[0] == 1009


@pytest.mark.parametrize("module", ["simple_websocket_app", "simple_websocket_installed_app"])
def test_simple_websocket(module: str, run: Run) -> None:
    port = run(module)
    assert requests.get(f"http://127.0.0.1:{port}/", timeout=20).text == "page"
    with RawClient(port, "/echo") as client:
        client.send(masked(TEXT, "hi"))
        assert client.frame() == Frame(TEXT, b"hi")
        client.send(close_frame(4000, "enough"))
        assert client.close_code()[0] == 4000  # simple-websocket repeats the text, too
    with RawClient(port, "/pings") as client:
        assert client.frame().opcode == PING


@pytest.mark.parametrize("kind", ["plain", "read-ahead", "tls"])
@pytest.mark.parametrize("end", ["close", "vanish"])
def test_each_kind_of_connection(
    kind: str, end: str, frames: str, serve: Serve, certificates: Certificates
) -> None:
    from tests.compat.simple_websocket_app import app

    tls = {"certfile": certificates.certfile, "keyfile": certificates.keyfile} if kind == "tls" else {}
    site = serve(application=app, **tls)
    sock = tls_socket(site.port, certificates.client()) if kind == "tls" else None
    client = site.connect("/echo", sock=sock, behind=masked(TEXT, "1") if kind == "read-ahead" else b"")
    client.send(b"" if kind == "read-ahead" else masked(TEXT, "1"))
    assert client.frame() == Frame(TEXT, b"1")
    if end == "close":
        client.send(close_frame(1000))
        assert client.close_code()[0] == 1000
    client.close()
    site.wait_until_empty()


@pytest.mark.usefixtures("no_collector")
def test_nothing_is_left_to_the_garbage_collector(frames: str, serve: Serve) -> None:
    def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        server = Server(environ)
        server.send(server.receive())
        return []

    site = serve(application=echo)
    with no_channel_left(), site.connect("/") as client:
        client.send(masked(TEXT, "echo"))
        assert client.frame() == Frame(TEXT, b"echo")


@pytest.mark.logs_errors
def test_pages_of_other_origins_get_403(frames: str, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    from tests.compat.flask_sock_app import app

    site = serve(application=app)
    assert site.connect("/echo/x", "Origin: http://evil.example").head.startswith("HTTP/1.1 403 ")
    assert "list the origin in upgrade_origins" in caplog.text
    site = serve(application=app, upgrade_origins="*")
    client = site.connect("/echo/x", "Origin: http://evil.example")
    assert client.head.startswith("HTTP/1.1 101 ")
    client.send(masked(TEXT, "bye"))
    ends(client)
    client.close()
    site.wait_until_empty()


def test_a_second_socket_of_a_connection_keeps_the_time_limit(serve: Serve) -> None:
    seen: list[object] = []

    def app(environ, start_response):
        sock = environ["geventkws.socket"]
        sock.setblocking(False)
        assert sock.gettimeout() == 0
        sock.settimeout(7)
        copy = environ["wsgi.input"].raw._sock.dup()
        seen.extend([copy.gettimeout(), copy.getpeername() == sock.getpeername()])
        seen.append(environ["wsgi.input"].read())
        sock.sendall(b"HTTP/1.1 101 x\r\n\r\n")
        copy.close()
        return []

    site = serve(application=app)
    with site.connect("/") as client:
        client.read_to_end()
    site.wait_until_empty()
    assert seen == [7, True, b""]


class App:
    """A WSGI application that lets ``handle`` have a ``Server``; ``over`` is set when it has returned."""

    def __init__(self, handle: Callable[[Any], object], kind: Any = Server, **options: Any) -> None:
        self.handle, self.kind, self.options = handle, kind, options
        self.over = Event()

    def __call__(self, environ, start_response):
        ws = self.kind(environ, **self.options)
        try:
            self.handle(ws)
        finally:
            self.over.set()
        return []


@pytest.mark.parametrize("frames", ["theirs", "ours"], indirect=True)
class TestSemantics:
    """What holds with either frames."""

    def test_the_end_is_told_by_each_method(self, frames: str, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            assert ws.connected
            assert ws.receive(timeout=PATIENCE) == "last"
            for call in (ws.receive, ws.close, lambda: ws.send("x")):
                with pytest.raises(ConnectionClosed) as caught:
                    call()
                assert (caught.value.reason, caught.value.message) == (4000, "enough")
            assert not ws.connected
            assert (ws.close_reason, ws.close_message) == (4000, "enough")

        app = App(handle)
        site = serve(application=app)
        client = site.connect("/")
        client.send(masked(TEXT, "last") + close_frame(4000, "enough"))
        assert client.close_code()[0] == 4000  # simple-websocket repeats the text, too
        assert app.over.wait(PATIENCE)
        client.close()
        site.wait_until_empty()

    def test_it_is_closed_by_the_application(self, frames: str, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            ws.close(4001, "why")
            assert not ws.connected
            for call in (ws.receive, ws.close, lambda: ws.send("x")):
                with pytest.raises(ConnectionClosed) as caught:
                    call()
                assert caught.value.reason == 1005

        app = App(handle)
        client = serve(application=app).connect("/")
        ends(client, 4001, "why")
        assert app.over.wait(PATIENCE)

    def test_whatever_is_not_bytes_is_sent_as_text(self, frames: str, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            ws.send(17)
            ws.send(b"bytes")
            ws.close()

        client = serve(application=App(handle)).connect("/")
        assert [client.frame(), client.frame()] == [Frame(TEXT, b"17"), Frame(BINARY, b"bytes")]
        ends(client)

    def test_a_subclass_may_choose_the_subprotocol(self, frames: str, serve: Serve) -> None:
        class Last(Server):
            def choose_subprotocol(self, request: Any) -> str:
                return str(request.subprotocols[-1])

        client = serve(application=App(lambda ws: ws.close(), Last)).connect(
            "/", "Sec-WebSocket-Protocol: a, b"
        )
        assert "sec-websocket-protocol: b" in client.head.lower()
        ends(client)

    def test_a_subprotocol_may_be_a_string(self, frames: str, serve: Serve) -> None:
        app = App(lambda ws: ws.close(message=str(ws.subprotocols)), subprotocols="a")
        client = serve(application=app).connect("/", "Sec-WebSocket-Protocol: a")
        assert "sec-websocket-protocol: a" in client.head.lower()
        ends(client, 1000, "['a']")

    def test_silence_ends_a_connection_with_a_ping_interval(self, frames: str, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            with pytest.raises(ConnectionClosed):
                ws.receive()

        app = App(handle, ping_interval=0.1)
        site = serve(application=app)
        client = site.connect("/")
        assert client.frame().opcode == PING
        client.read_to_end()
        assert app.over.wait(PATIENCE)
        client.close()
        site.wait_until_empty()


@pytest.mark.parametrize("frames", ["ours"], indirect=True)
class TestOurs:
    """What is better than with their frames, or not to be compared."""

    def test_under_another_server_nothing_changes(self, frames: str) -> None:
        with pytest.raises(RuntimeError, match="Cannot obtain socket"):
            Server({"SERVER_SOFTWARE": "other"})

    def test_the_servers_options_hold(self, frames: str, serve: Serve) -> None:
        app = App(lambda ws: ws.receive(), max_message_size=None)
        site = serve(application=app, upgrade_max_message_size=100, upgrade_compression=True)
        offer = "Sec-WebSocket-Extensions: permessage-deflate"
        client = site.connect("/", offer)
        assert offer in client.head
        client.send(masked(TEXT, "x" * 101))
        assert client.close_code()[0] == 1009

    def test_the_server_says_goodbye_when_it_stops(self, frames: str, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            with pytest.raises(ConnectionClosed) as caught:
                ws.receive()
            assert caught.value.reason == 1001

        app = App(handle)
        site = serve(application=app)
        client = site.connect("/")
        stopping = gevent.spawn(site.server.stop, PATIENCE)
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
        assert app.over.wait(PATIENCE)
        stopping.get(timeout=PATIENCE)

    @pytest.mark.parametrize("error", [ConnectionClosed, LookupError])
    @pytest.mark.logs_errors
    def test_an_application_that_fails(
        self, error: type[Exception], frames: str, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        def handle(ws: Any) -> None:
            raise error

        site = serve(application=App(handle))
        client = site.connect("/")
        ends(client, 1000 if error is ConnectionClosed else 1011)
        site.wait_until_empty()
        assert ("The application failed" in caplog.text) == (error is not ConnectionClosed)

    def test_a_client_that_goes_before_the_handshake_is_answered(self, frames: str, serve: Serve) -> None:
        asked, go_on = Event(), Event()

        def app(environ, start_response):
            asked.set()
            go_on.wait(PATIENCE)
            Server(environ)

        site = serve(application=app)
        site.lose_client_meanwhile(asked, go_on)
        site.wait_until_empty()
