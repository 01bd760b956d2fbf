"""Applications that take a connection over: a 101 and frames of their own."""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws import HandshakeError, accept
from geventkws.http import fields
from geventkws.protocol.handshake import accept_key
from geventkws.protocol.masking import apply_mask
from tests.certificates import Certificates
from tests.helpers import running
from tests.integration.conftest import Echo, Serve, Site
from tests.raw import CLOSE, TEXT, Frame, RawClient, close_frame, masked, upgrade_request
from tests.tls import tls_socket
from tests.waiting import PATIENCE

SOCKET = "geventkws.socket"
FOREIGN = "Origin: http://evil.example"
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def handshake(environ: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the header fields of an application's own 101."""
    key = accept_key(environ["HTTP_SEC_WEBSOCKET_KEY"])
    return [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", key)]


class Frames:
    """The little of RFC 6455 that such an application brings along."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock

    def receive(self) -> tuple[int, bytes] | None:
        head = self._exactly(2)
        if head is None:
            return None
        length = head[1] & 0x7F
        if length == 126:
            length = int.from_bytes(self._exactly(2) or b"", "big")
        key, data = self._exactly(4), self._exactly(length)
        assert key is not None
        assert data is not None
        return head[0] & 0x0F, bytes(apply_mask(data, key))

    def send(self, opcode: int, data: bytes) -> None:
        length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
        self.sock.sendall(bytes([0x80 | opcode]) + length + data)

    def echo(self) -> None:
        """Send back what comes, until the peer closes or is gone."""
        while (frame := self.receive()) is not None:
            self.send(*frame)
            if frame[0] == CLOSE:
                return

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                return None
            data += more
        return data


def on_close(environ, start_response):
    """Serve when the response is closed, as Odoo does."""

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter(())

        def close(self) -> None:
            Frames(sock).echo()

    sock = environ[SOCKET]
    start_response("101 Switching Protocols", handshake(environ))
    return Body()


def at_once(environ, start_response):
    """Serve within the application, as gevent-websocket does."""
    start_response("101 Switching Protocols", handshake(environ))
    Frames(environ[SOCKET]).echo()
    return []


def in_a_generator(environ, start_response):
    start_response("101 Switching Protocols", handshake(environ))
    yield b""
    Frames(environ[SOCKET]).echo()
    yield b""


def by_itself(environ, start_response):
    """Answer 101 on the socket, as simple-websocket does; a framework's own response is ignored."""
    lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in handshake(environ))]
    sock = environ[SOCKET]
    sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    Frames(sock).echo()
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b""]


def touched_first(environ, start_response):
    """Use the socket before the 101."""
    sock = environ[SOCKET]
    sock.settimeout(PATIENCE)
    start_response("101 Switching Protocols", handshake(environ))
    Frames(sock).echo()
    return []


def closing(environ, start_response):
    """Close the socket as well."""
    at_once(environ, start_response)
    environ[SOCKET].close()
    return []


APPLICATIONS = [on_close, at_once, in_a_generator, by_itself, touched_first, closing]


@pytest.fixture(params=["plain", "read-ahead", "tls"])
def connect(request: pytest.FixtureRequest, serve: Serve, certificates: Certificates) -> Callable[..., Any]:
    """Start a server for an application and return a client that has sent ``behind`` and read a 101."""
    tls = {"certfile": certificates.certfile, "keyfile": certificates.keyfile}

    def connect(application: Any, **options: Any) -> tuple[Site, RawClient]:
        kind = request.param
        site = serve(application=application, **(tls if kind == "tls" else {}), **options)
        sock = tls_socket(site.port, certificates.client()) if kind == "tls" else None
        client = site.connect(None, sock=sock)
        early = masked(TEXT, "early")
        client.send(upgrade_request("/") + (early if kind == "read-ahead" else b""))
        client.head = client.read_head()
        if kind != "read-ahead":
            client.send(early)
        assert client.frame() == Frame(TEXT, b"early")
        return site, client

    return connect


class TestServed:
    @pytest.mark.parametrize("application", APPLICATIONS)
    def test_its_own_101_and_frames(self, connect: Any, application: Any) -> None:
        site, client = connect(application)
        assert client.head.split("\r\n") == [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_key('dGhlIHNhbXBsZSBub25jZQ==')}",
        ]
        for text in "hello", "x" * 10_000:
            client.send(masked(TEXT, text))
            assert client.frame() == Frame(TEXT, text.encode())
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")
        assert client.read_to_end() == b""
        client.close()
        site.wait_until_empty()

    @pytest.mark.parametrize("application", APPLICATIONS)
    def test_the_application_learns_that_its_client_is_gone(self, connect: Any, application: Any) -> None:
        site, client = connect(application)
        client.close()
        site.wait_until_empty()

    def test_whoever_does_not_read_holds_up_the_sender(self, connect: Any) -> None:
        """More than any buffer takes, to a client that reads only then, and everything arrives."""
        size, sent = 16 * 1024 * 1024, Event()

        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            frames = Frames(environ[SOCKET])
            frames.send(*frames.receive() or (0, b""))
            frames.sock.sendall(bytes(size))
            sent.set()
            return []

        site, client = connect(application)
        assert not sent.wait(0.1)
        got = len(client.buffer)
        while data := client.sock.recv(1024 * 1024):
            got += len(data)
        assert got == size
        assert sent.wait(PATIENCE)
        client.close()
        site.wait_until_empty()

    def test_what_the_client_sends_waits_for_the_application(self, connect: Any) -> None:
        size, go_on = 16 * 1024 * 1024, Event()

        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            frames = Frames(environ[SOCKET])
            frames.send(*frames.receive() or (0, b""))
            go_on.wait(PATIENCE)
            left = size
            while left:
                left -= len(frames.sock.recv(65536))
            frames.send(TEXT, b"all of it")
            return []

        _site, client = connect(application)
        sender = gevent.spawn(client.send, bytes(size))
        sender.join(0.1)
        assert not sender.dead
        go_on.set()
        sender.get(timeout=PATIENCE)
        assert client.frame() == Frame(TEXT, b"all of it")

    def test_a_close_after_unread_input_delivers_what_was_sent(self, connect: Any) -> None:
        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            frames = Frames(environ[SOCKET])
            frames.send(*frames.receive() or (0, b""))
            frames.sock.recv(1)
            frames.send(CLOSE, struct.pack(">H", 1009))
            return []

        site, client = connect(application)
        client.send(bytes(100_000))
        assert client.close_code() == (1009, "")
        assert client.read_to_end() == b""
        client.close()
        site.wait_until_empty()


class TestTheSocket:
    def test_is_the_connection_itself_where_that_can_be(self, serve: Serve) -> None:
        peers: list[Any] = []

        def application(environ, start_response):
            peers.append(environ[SOCKET].getpeername())
            assert environ[SOCKET].proto == socket.IPPROTO_TCP
            assert "not used yet" not in repr(environ[SOCKET])
            assert isinstance(environ[SOCKET], gevent.socket.socket)
            return at_once(environ, start_response)

        client = serve(application=application).connect("/")
        assert peers == [client.sock.getsockname()]

    def test_is_not_taken_by_whoever_only_looks_at_the_environ(self, serve: Serve) -> None:
        def application(environ, start_response):
            assert "not used yet" in repr(environ)
            assert not hasattr(environ[SOCKET], "__sentry_repr__")
            assert dict(environ)[SOCKET] is environ[SOCKET]
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"no"]

        client = serve(application=application).connect("/")
        assert client.head.startswith("HTTP/1.1 403 ")

    def test_is_none_of_an_ordinary_request(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(SOCKET in environ).encode()]

        with RawClient(serve(application=application).port) as client:
            client.send(GET)
            client.read_head()
            assert client.read_body(5) == b"False"

    def test_does_not_outlive_the_response(self, serve: Serve) -> None:
        environs: list[dict[str, Any]] = []

        def application(environ, start_response):
            environs.append(environ)
            start_response("404 Not Found", [])
            return []

        serve(application=application).connect("/").read_to_end()
        with pytest.raises(RuntimeError, match="is over"):
            environs[0][SOCKET].fileno()

    def test_cannot_be_taken_after_another_answer(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "8")])
            with pytest.raises(RuntimeError, match="has been answered already"):
                environ[SOCKET].fileno()
            return [b"ordinary"]

        assert serve(application=application).connect("/").read_to_end() == b"ordinary"

    def test_cannot_be_taken_when_a_service_has_the_connection(self, serve: Serve) -> None:
        def application(environ, start_response):
            answer = accept(environ, Echo())
            with pytest.raises(RuntimeError, match="has been answered already"):
                environ[SOCKET].fileno()
            return answer

        client = serve(application=application).connect("/")
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")

    def test_no_service_gets_a_connection_that_was_taken(self, serve: Serve) -> None:
        def application(environ, start_response):
            environ[SOCKET].fileno()
            with pytest.raises(RuntimeError, match="accepted or refused already"):
                accept(environ, Echo())
            return at_once(environ, start_response)

        client = serve(application=application).connect("/")
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")


class TestOrigin:
    @pytest.mark.parametrize("application", APPLICATIONS)
    def test_a_foreign_page_gets_403_and_the_application_nothing(
        self, serve: Serve, application: Any
    ) -> None:
        client = serve(application=application).connect("/", FOREIGN, behind=masked(TEXT, "hello"))
        assert client.head.startswith("HTTP/1.1 403 ")
        assert b"http://evil.example is not allowed" in client.read_to_end()

    @pytest.mark.parametrize("taken", [True, False], ids=["taken", "answered"])
    def test_an_application_that_catches_the_refusal_gets_nothing_either(
        self, serve: Serve, taken: bool
    ) -> None:
        def application(environ, start_response):
            if not taken:
                with pytest.raises(HandshakeError, match="403"):
                    start_response("101 Switching Protocols", handshake(environ))
            with pytest.raises(HandshakeError, match="403"):
                environ[SOCKET].sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            start_response("200 OK", [])
            return [b"come in"]

        client = serve(application=application).connect("/", FOREIGN)
        assert client.head.startswith("HTTP/1.1 403 ")
        assert b"come in" not in client.read_to_end()

    @pytest.mark.parametrize("origins", [["http://evil.example"], "http://evil.example", "*"])
    def test_a_listed_origin_is_let_in(self, serve: Serve, origins: Any) -> None:
        site = serve(application=at_once, upgrade_origins=origins)
        client = site.connect("/", FOREIGN)
        client.send(masked(TEXT, "hello"))
        assert client.frame() == Frame(TEXT, b"hello")

    def test_pages_of_the_server_are_let_in_unless_others_are_listed(self, serve: Serve) -> None:
        own = "Origin: http://127.0.0.1"
        assert serve(application=at_once).connect("/", own).head.startswith("HTTP/1.1 101 ")
        client = serve(application=at_once, upgrade_origins=["http://other.example"]).connect("/", own)
        assert client.head.startswith("HTTP/1.1 403 ")
        assert b"it is not one of the server's upgrade_origins" in client.read_to_end()

    def test_the_log_says_what_to_do(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        serve(application=at_once).connect("/", FOREIGN)
        assert "list the origin in upgrade_origins" in caplog.text


class TestEndings:
    @pytest.mark.logs_errors
    def test_an_application_that_fails_closes_the_connection(
        self, connect: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            frames = Frames(environ[SOCKET])
            frames.send(*frames.receive() or (0, b""))
            raise RuntimeError("on purpose")

        site, client = connect(application)
        assert client.read_to_end() == b""
        client.close()
        site.wait_until_empty()
        assert "The application failed at GET '/'" in caplog.text

    def test_stop_waits_for_the_application_and_ends_it(self, connect: Any) -> None:
        ended: list[type[BaseException]] = []

        def application(environ, start_response):
            try:
                return at_once(environ, start_response)
            except BaseException as error:
                ended.append(type(error))
                raise

        site, client = connect(application)
        site.server.stop(timeout=0.2)
        assert ended == [gevent.GreenletExit]
        assert client.read_to_end() == b""
        assert not site.server.http_connections

    def test_an_application_that_does_not_end_loses_its_connection(self, connect: Any) -> None:
        go_on, ended = Event(), Event()

        def application(environ, start_response):
            with suppress(gevent.GreenletExit):
                at_once(environ, start_response)
            while not go_on.is_set():
                with suppress(gevent.GreenletExit):
                    go_on.wait()
            ended.set()
            return []

        site, client = connect(application)
        site.server.stop(timeout=0)
        assert client.read_to_end() == b""
        go_on.set()
        assert ended.wait(PATIENCE)
        site.wait_until_empty()

    def test_a_client_that_is_gone_before_the_takeover_is_not_an_error(self, serve: Serve) -> None:
        began, go_on, raised = Event(), Event(), []

        def application(environ, start_response):
            began.set()
            assert go_on.wait(PATIENCE)
            start_response("101 Switching Protocols", handshake(environ))
            try:
                environ[SOCKET].sendall(b"frame")
            except OSError as error:
                raised.append(error)
                raise
            return []

        site = serve(application=application)
        client = site.connect(None)
        client.send(upgrade_request("/"))
        assert began.wait(PATIENCE)
        client.reset_at_once()
        go_on.set()
        site.wait_until_empty()
        assert len(raised) == 1

    def test_nor_is_one_that_is_gone_before_a_late_101(self, serve: Serve) -> None:
        began, go_on = Event(), Event()

        def application(environ, start_response):
            environ[SOCKET].settimeout(PATIENCE)
            began.set()
            assert go_on.wait(PATIENCE)
            start_response("101 Switching Protocols", handshake(environ))
            return []

        site = serve(application=application)
        client = site.connect(None)
        client.send(upgrade_request("/"))
        assert began.wait(PATIENCE)
        client.reset_at_once()
        go_on.set()
        site.wait_until_empty()

    def test_a_client_that_takes_nothing_is_dropped_when_the_application_ends(self, connect: Any) -> None:
        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            frames = Frames(environ[SOCKET])
            frames.send(*frames.receive() or (0, b""))
            frames.sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                frames.sock.sendall(bytes(32 * 1024 * 1024))
            return []

        site, _client = connect(application, body_timeout=0.2, close_timeout=0.2)
        site.wait_until_empty()

    def test_an_application_may_end_by_itself_while_the_server_stops(self, connect: Any) -> None:
        site, client = connect(at_once)
        stopping = gevent.spawn(site.server.stop, PATIENCE)
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")
        client.close()
        stopping.get(timeout=PATIENCE)

    def test_a_server_that_stops_lets_nobody_take_over(self, serve: Serve) -> None:
        began, go_on = Event(), Event()

        def application(environ, start_response):
            began.set()
            go_on.wait(PATIENCE)
            return at_once(environ, start_response)

        site = serve(application=application)
        client = site.connect(None)
        client.send(upgrade_request("/"))
        assert began.wait(PATIENCE)
        stopping = gevent.spawn(site.server.stop, PATIENCE)
        while not site.server.stopping:
            gevent.sleep(0)
        go_on.set()
        assert client.read_head().startswith("HTTP/1.1 503 ")
        client.close()
        stopping.get(timeout=PATIENCE)

    def test_a_takeover_without_a_101_sends_nothing(self, connect: Any) -> None:
        """Whatever the framework answers then is not for the peer, who may be in the middle of a frame."""

        def application(environ, start_response):
            by_itself(environ, lambda status, headers: None)
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])(b"")
            return [b""]

        _site, client = connect(application)
        client.send(masked(CLOSE))
        assert client.close_code() == (None, "")
        assert client.read_to_end() == b""

    def test_a_101_without_a_takeover_closes_after_it(self, serve: Serve) -> None:
        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            return []

        site = serve(application=application)
        client = site.connect("/")
        assert client.head.startswith("HTTP/1.1 101 ")
        assert client.read_to_end() == b""
        client.close()
        site.wait_until_empty()

    def test_a_body_is_not_sent_and_said_to_be_lost(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(running(fields), "_warnings_given", set())

        def application(environ, start_response):
            start_response("101 Switching Protocols", handshake(environ))
            return [b"body"]

        assert serve(application=application).connect("/").read_to_end() == b""
        assert "the body that it returns is not sent" in caplog.text

    @pytest.mark.parametrize("body", [[b"body"], iter([b"body"])], ids=["whole", "streamed"])
    def test_nor_is_that_of_a_taken_connection(
        self, serve: Serve, body: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(running(fields), "_warnings_given", set())

        def application(environ, start_response):
            by_itself(environ, start_response)
            return body

        client = serve(application=application).connect("/")
        client.send(masked(CLOSE))
        assert client.close_code() == (None, "")
        assert client.read_to_end() == b""
        assert "the body that it returns is not sent" in caplog.text

    @pytest.mark.logs_errors
    def test_an_ordinary_request_cannot_be_answered_with_101(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        def application(environ, start_response):
            start_response("101 Switching Protocols", [])
            return []

        with RawClient(serve(application=application).port) as client:
            client.send(GET)
            assert client.read_head().startswith("HTTP/1.1 500 ")
        assert "which this request does not ask for" in caplog.text

    def test_the_access_log_has_a_line_when_it_ends(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "geventkws.access"):
            site = serve(application=at_once)
            with site.connect("/") as client:
                client.send(masked(CLOSE))
                client.read_to_end()
            site.wait_until_empty()
        assert '"GET / HTTP/1.1" 101 ' in caplog.text


def test_an_ordinary_answer_arrives_even_at_a_client_that_did_not_wait_for_it(serve: Serve) -> None:
    """Closing with unread bytes would reset the connection, and could destroy the answer on its way."""

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"no"]

    client = serve(application=application).connect("/", behind=bytes(100_000))
    assert client.head.startswith("HTTP/1.1 200 ")
    assert client.read_to_end() == b"no"
