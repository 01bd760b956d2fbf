"""``environ["wsgi.websocket"]``: applications with a WebSocket like gevent-websocket's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event
from geventwebsocket.exceptions import WebSocketError as TheirError

from geventkws import HandshakeError
from geventkws.server.wsgi_websocket import MSG_ALREADY_CLOSED, MSG_SOCKET_DEAD, WebSocketError
from tests.integration.conftest import Echo, Serve
from tests.raw import BINARY, CLOSE, PING, PONG, TEXT, Frame, close_frame, masked, upgrade_request
from tests.tls import tls_socket
from tests.waiting import PATIENCE, wait_until

Handle = Callable[[Any], object]


class App:
    """A WSGI application that lets ``handle`` have each WebSocket; ``over`` is set when it has returned."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.over = Event()
        self.environ: dict[str, Any] = {}

    def __call__(self, environ, start_response):
        self.environ = environ
        try:
            self.handle(environ["wsgi.websocket"])
        finally:
            self.over.set()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"not sent"]


def echo(ws: Any) -> None:
    while (message := ws.receive()) is not None:
        ws.send(message)


def returns_nothing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    return []


def first_message(ws: Any) -> None:
    ws.receive()


@pytest.mark.parametrize("kind", ["plain", "read-ahead", "tls"])
def test_messages_go_both_ways(kind: str, serve: Serve, certificates: Any) -> None:
    tls = {"certfile": certificates.certfile, "keyfile": certificates.keyfile} if kind == "tls" else {}
    site = serve(application=App(echo), **tls)
    if kind == "tls":
        client = site.connect("/", sock=tls_socket(site.port, certificates.client()))
    else:
        client = site.connect("/", behind=masked(TEXT, "ahead") if kind == "read-ahead" else b"")
    assert client.head.startswith("HTTP/1.1 101 ")
    if kind == "read-ahead":
        assert client.frame() == Frame(TEXT, b"ahead")
    client.send(masked(TEXT, "häh") + masked(BINARY, b"\0\1") + masked(TEXT, ""))
    assert client.frame() == Frame(TEXT, "häh".encode())
    assert client.frame() == Frame(BINARY, b"\0\1")
    assert client.frame() == Frame(TEXT, b"")
    client.send(masked(PING, "?") + close_frame(4000))
    assert client.frame() == Frame(PONG, b"?")
    assert client.close_code() == (4000, "")
    site.wait_until_empty()


def test_a_binary_message_is_a_bytearray_as_there(serve: Serve) -> None:
    seen: list[object] = []
    app = App(lambda ws: seen.extend([ws.receive(), ws.read_message()]))
    serve(application=app).connect("/").send(masked(BINARY, b"1") + masked(TEXT, "1"))
    assert app.over.wait(PATIENCE)
    assert seen == [bytearray(b"1"), "1"]
    assert type(seen[0]) is bytearray


def test_what_is_read_of_the_request_is_not_a_use(serve: Serve) -> None:
    seen: list[object] = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        assert environ["wsgi.websocket_version"] == "13"
        assert ws.environ is environ
        seen.extend([ws.path, ws.origin, ws.version, ws.protocol, bool(ws)])
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []

    site = serve(application=app)
    origin = f"http://127.0.0.1:{site.port}"
    client = site.connect("/a%20b?c", f"Origin: {origin}", "Sec-WebSocket-Protocol: x, y")
    assert client.head.startswith("HTTP/1.1 401 ")
    assert seen == ["/a b", origin, "13", "x, y", True]


def test_the_request_is_known_until_the_end(serve: Serve) -> None:
    seen: list[object] = []

    def handle(ws: Any) -> None:
        ws.receive()
        seen.extend([ws.path, ws.origin])

    app = App(handle)
    serve(application=app).connect("/chat").send(masked(TEXT, "x"))
    assert app.over.wait(PATIENCE)
    assert seen == ["/chat", None]


def test_an_ordinary_request_has_no_websocket(serve: Serve) -> None:
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "1")])
        return [b"1" if "wsgi.websocket" in environ else b"0"]

    client = serve(application=app).connect(None)
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    client.read_head()
    assert client.read_body(1) == b"0"


class TestSend:
    @pytest.mark.parametrize(
        ("message", "binary", "frame"),
        [
            ("text", None, Frame(TEXT, b"text")),
            (b"bytes", None, Frame(BINARY, b"bytes")),
            (bytearray(b"bytes"), None, Frame(BINARY, b"bytes")),
            (memoryview(b"bytes"), None, Frame(BINARY, b"bytes")),
            ("text", True, Frame(BINARY, b"text")),
            (b"bytes", False, Frame(TEXT, b"bytes")),
            (17, False, Frame(TEXT, b"17")),
            (None, False, Frame(TEXT, b"")),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_it_sends(self, message: object, binary: bool | None, frame: Frame, serve: Serve) -> None:
        client = serve(application=App(lambda ws: ws.send(message, binary))).connect("/")
        assert client.frame() == frame

    def test_frames_of_three_kinds(self, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            ws.send_frame("?", ws.OPCODE_PING)
            ws.send_frame("text", ws.OPCODE_TEXT)
            ws.send_frame(b"bytes", ws.OPCODE_BINARY)
            with pytest.raises(ValueError, match="the opcode 10"):
                ws.send_frame("", PONG)
            ws.close()
            with pytest.raises(WebSocketError, match=MSG_ALREADY_CLOSED):
                ws.send_frame("?", ws.OPCODE_PING)

        client = serve(application=App(handle)).connect("/")
        frames = [client.frame() for _ in range(4)]
        assert [frame.opcode for frame in frames] == [PING, TEXT, BINARY, CLOSE]

    def test_it_raises_their_error_once_the_client_has_gone(self, serve: Serve) -> None:
        """An ``except`` clause with the class of either package catches it."""

        def handle(ws: Any) -> None:
            echo(ws)
            for error in (WebSocketError, TheirError, OSError):
                with pytest.raises(error, match=MSG_SOCKET_DEAD):
                    ws.send("too late")

        app = App(handle)
        site = serve(application=app)
        site.connect("/").reset()
        assert app.over.wait(PATIENCE)
        site.wait_until_empty()

    def test_it_ends_an_application_that_only_sends(self, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            while True:
                ws.send("tick")
                gevent.sleep(0.001)

        app = App(handle)
        client = serve(application=app, close_timeout=0.1).connect("/")
        client.send(close_frame(1000))
        client.read_to_end()
        assert app.over.wait(PATIENCE)


class TestTheEnd:
    def test_receive_returns_none_and_then_raises(self, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            assert not ws.closed
            assert ws.receive() == "last"
            assert ws.receive() is None
            assert ws.closed
            for error in (WebSocketError, TheirError):
                with pytest.raises(error, match=MSG_ALREADY_CLOSED):
                    ws.receive()

        app = App(handle)
        client = serve(application=app).connect("/")
        client.send(masked(TEXT, "last") + close_frame(1000))
        assert client.close_code() == (1000, "")
        assert app.over.wait(PATIENCE)

    def test_closed_is_seen_without_receiving(self, serve: Serve) -> None:
        app = App(lambda ws: wait_until(lambda: ws.closed))
        client = serve(application=app).connect("/")
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")
        assert app.over.wait(PATIENCE)

    def test_closed_is_false_while_messages_are_left(self, serve: Serve) -> None:
        seen: list[object] = []

        def handle(ws: Any) -> None:
            seen.append(ws.receive())
            wait_until(lambda: ws._connection._state != 0)
            while not ws.closed:
                seen.append(ws.receive())

        app = App(handle)
        client = serve(application=app).connect("/")
        client.send(masked(TEXT, "a") + masked(TEXT, "b") + masked(TEXT, "c") + close_frame(1000))
        assert app.over.wait(PATIENCE)
        assert seen == ["a", "b", "c"]

    @pytest.mark.parametrize("text", ["why", b"why"])
    def test_the_application_closes(self, text: str | bytes, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            ws.close(4001, text)
            ws.close()
            assert ws.closed

        client = serve(application=App(handle)).connect("/")
        assert client.close_code() == (4001, "why")

    def test_it_is_closed_when_the_application_returns(self, serve: Serve) -> None:
        app = App(first_message)
        site = serve(application=app)
        client = site.connect("/")
        client.send(masked(TEXT, "x"))
        assert client.close_code() == (1000, "")
        client.send(close_frame(1000))
        assert app.environ["wsgi.websocket"] is None
        site.wait_until_empty()

    @pytest.mark.parametrize("body", [[], iter(())], ids=["list", "iterator"])
    def test_it_is_opened_and_closed_when_the_application_only_returns(
        self, body: Any, serve: Serve, caplog: Any
    ) -> None:
        site = serve(application=lambda environ, start_response: body)
        client = site.connect("/")
        assert client.head.startswith("HTTP/1.1 101 ")
        assert client.close_code() == (1000, "")
        client.send(close_frame(1000))
        site.wait_until_empty()
        assert not caplog.records

    @pytest.mark.logs_errors
    def test_it_is_closed_with_1011_when_the_application_fails(self, serve: Serve, caplog: Any) -> None:
        def handle(ws: Any) -> None:
            ws.receive()
            raise LookupError("a mistake")

        site = serve(application=App(handle))
        client = site.connect("/")
        client.send(masked(TEXT, "x"))
        assert client.close_code() == (1011, "")
        client.send(close_frame(1011))
        site.wait_until_empty()
        assert "The application failed at GET" in caplog.text

    def test_an_error_that_says_only_that_the_client_has_gone_is_not_logged(self, serve: Serve) -> None:
        def handle(ws: Any) -> None:
            while True:
                ws.send(ws.receive())

        app = App(handle)
        site = serve(application=app)
        client = site.connect("/")
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")
        assert app.over.wait(PATIENCE)
        site.wait_until_empty()

    @pytest.mark.logs_errors
    def test_an_application_that_is_killed(self, serve: Serve) -> None:
        greenlets: list[Any] = []

        def handle(ws: Any) -> None:
            greenlets.append(gevent.getcurrent())
            ws.receive()

        site = serve(application=App(handle))
        client = site.connect("/")
        gevent.kill(greenlets[0])
        assert client.close_code() == (1011, "")
        client.send(close_frame(1011))
        site.wait_until_empty()

    @pytest.mark.parametrize("messages", [b"", masked(TEXT, "x")])
    def test_the_server_stops(self, messages: bytes, serve: Serve) -> None:
        app = App(echo)
        site = serve(application=app)
        client = site.connect("/")
        client.send(messages)
        if messages:
            assert client.frame() == Frame(TEXT, b"x")
        stopping = gevent.spawn(site.server.stop, PATIENCE)
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
        assert app.over.wait(PATIENCE)
        stopping.get(timeout=PATIENCE)

    def test_what_has_arrived_is_answered_before_the_server_stops(self, serve: Serve) -> None:
        go_on = Event()

        def handle(ws: Any) -> None:
            ws.receive()
            go_on.wait(PATIENCE)
            ws.send("answer")

        site = serve(application=App(handle))
        client = site.connect("/")
        client.send(masked(TEXT, "x"))
        wait_until(lambda: any(each.traffic.messages_received for each in site.server.websockets))
        stopping = gevent.spawn(site.server.stop, PATIENCE)
        wait_until(lambda: site.server.stopping)
        go_on.set()
        assert client.frame() == Frame(TEXT, b"answer")
        assert client.close_code()[0] == 1001
        client.send(close_frame(1001))
        stopping.get(timeout=PATIENCE)

    def test_a_client_that_goes_before_the_handshake_is_answered(self, serve: Serve) -> None:
        asked, go_on = Event(), Event()
        closed: list[bool] = []

        def handle(ws: Any) -> None:
            asked.set()
            go_on.wait(PATIENCE)
            for _ in range(3):
                closed.append(ws.closed)
                with pytest.raises(WebSocketError):
                    ws.receive()
                with pytest.raises(WebSocketError):
                    ws.send("x")
            ws.close()

        app = App(handle)
        site = serve(application=app)
        site.lose_client_meanwhile(asked, go_on)
        assert app.over.wait(PATIENCE)
        site.wait_until_empty()


class TestRefusals:
    def refused(self, ws: Any) -> None:
        for _ in range(2):
            with pytest.raises(HandshakeError):
                ws.receive()

    def test_pages_of_other_origins(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        client = serve(application=App(self.refused)).connect("/", "Origin: http://evil.example")
        assert client.head.startswith("HTTP/1.1 403 ")
        assert "list the origin in upgrade_origins" in caplog.text

    def test_origins_that_are_allowed(self, serve: Serve) -> None:
        site = serve(application=App(echo), upgrade_origins=["http://good.example"])
        assert site.connect("/", "Origin: http://good.example").head.startswith("HTTP/1.1 101 ")
        assert site.connect("/", "Origin: http://other.example").head.startswith("HTTP/1.1 403 ")

    def test_other_versions(self, serve: Serve) -> None:
        client = serve(application=App(self.refused)).connect(None)
        client.send(
            b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 8\r\n\r\n"
        )
        assert client.read_head().startswith("HTTP/1.1 426 ")

    def test_after_start_response(self, serve: Serve) -> None:
        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "0")])
            with pytest.raises(RuntimeError, match="before start_response"):
                environ["wsgi.websocket"].receive()
            return []

        assert serve(application=app).connect("/").head.startswith("HTTP/1.1 200 ")

    def test_after_the_request(self, serve: Serve) -> None:
        kept: list[Any] = []

        def app(environ, start_response):
            kept.append(environ["wsgi.websocket"])
            start_response("200 OK", [("Content-Length", "0")])
            return []

        serve(application=app).connect("/")
        with pytest.raises(RuntimeError):
            kept[0].send("x")
        assert kept[0].path == ""

    def test_by_pages_of_other_origins_even_if_it_is_not_used(self, serve: Serve) -> None:
        client = serve(application=returns_nothing).connect("/", "Origin: http://evil.example")
        assert client.head.startswith("HTTP/1.1 403 ")

    def test_services_are_not_concerned(self, serve: Serve) -> None:
        client = serve(Echo(), application=App(echo)).connect("/service")
        client.send(masked(TEXT, "x"))
        assert client.frame() == Frame(TEXT, b"x")


def test_request_timeout_leaves_it_alone(serve: Serve) -> None:
    site = serve(application=App(echo), request_timeout=0.05)
    client = site.connect("/")
    gevent.sleep(0.3)
    client.send(masked(TEXT, "x"))
    assert client.frame() == Frame(TEXT, b"x")


def test_a_large_backlog_is_read_in_order(serve: Serve) -> None:
    site = serve(application=App(echo), max_inbox_messages=4)
    client = site.connect("/")
    client.send(b"".join(masked(TEXT, str(number)) for number in range(500)))
    assert [client.frame().payload for _ in range(500)] == [b"%d" % number for number in range(500)]


def test_the_connection_can_be_used_by_other_greenlets(serve: Serve) -> None:
    def handle(ws: Any) -> None:
        sender = gevent.spawn(ws.send, "from another greenlet")
        sender.join()
        echo(ws)

    client = serve(application=App(handle)).connect("/")
    assert client.frame() == Frame(TEXT, b"from another greenlet")


def test_clients_of_the_server(serve: Serve) -> None:
    addresses: list[Any] = []

    def handle(ws: Any) -> None:
        assert ws.handler.active_client.ws is ws
        assert ws.handler.environ is ws.environ
        addresses.append(ws.handler.active_client.address)
        assert ws.handler.client_address == addresses[-1]
        assert ws.handler.server.server_port == site.port
        while (message := ws.receive()) is not None:
            for client in ws.handler.server.clients.values():
                client.ws.send(message)

    site = serve(application=App(handle), trusted_proxies=["127.0.0.1"])
    # Two clients of a proxy that does not forward their ports.
    one, two = (site.connect("/", "X-Forwarded-For: 192.0.2.1") for _ in range(2))
    wait_until(lambda: len(addresses) == 2)
    assert len(set(addresses)) == 2
    one.send(masked(TEXT, "x"))
    assert one.frame() == two.frame() == Frame(TEXT, b"x")


def test_a_client_that_went_before_its_101_takes_nobody_elses_place(serve: Serve) -> None:
    is_asked, has_gone, over = Event(), Event(), Event()
    outcomes: list[object] = []

    def app(environ, start_response):
        ws = environ["wsgi.websocket"]
        if ws.path == "/late":
            is_asked.set()
            assert has_gone.wait(PATIENCE)
            outcomes.append(ws.receive() if not ws.closed else "closed")
            over.set()
        else:
            echo(ws)
        return []

    site = serve(application=app, trusted_proxies=["127.0.0.1"])
    stays = site.connect("/stays", "X-Forwarded-For: 192.0.2.1")
    late = site.connect(None)
    late.send(upgrade_request("/late", "X-Forwarded-For: 192.0.2.1"))
    assert is_asked.wait(PATIENCE)
    late.reset_at_once()
    has_gone.set()
    assert over.wait(PATIENCE)
    assert outcomes == ["closed"]
    stays.send(masked(TEXT, "x") + close_frame(1000))
    assert stays.frame() == Frame(TEXT, b"x")
    assert stays.close_code() == (1000, "")
    site.wait_until_empty()


def test_messages_are_compressed_if_the_server_allows_it(serve: Serve) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    assert "Extensions" not in serve(application=App(echo)).connect("/", offer).head
    assert offer in serve(application=App(echo), upgrade_compression=True).connect("/", offer).head


@pytest.mark.parametrize("limit", [100, 2**21])
def test_the_size_of_messages_is_limited(limit: int, serve: Serve) -> None:
    client = serve(application=App(echo), upgrade_max_message_size=limit).connect("/")
    client.send(masked(BINARY, b"x" * limit))
    assert client.frame() == Frame(BINARY, b"x" * limit)
    client.send(masked(BINARY, b"x" * (limit + 1)))
    assert client.close_code()[0] == 1009


def test_nothing_is_logged_but_what_is_wrong(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    app = App(echo)
    client = serve(application=app).connect("/")
    client.send(close_frame(1000))
    client.close_code()
    assert app.over.wait(PATIENCE)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
