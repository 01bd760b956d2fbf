"""How a server leaves its clients: nothing that has arrived is lost, and not all are sent away at once."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from time import monotonic
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal

from geventkws import WebSocketCloseReasonCode, WebSocketConnection, WebSocketServer, WebSocketService
from geventkws.server import departure
from tests.certificates import Certificates
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import CLOSE, PING, TEXT, Frame, RawClient, close_frame, masked
from tests.tls import connected_socket
from tests.waiting import LONG, PATIENCE, wait_until

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

pytestmark = pytest.mark.usefixtures("in_time")


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def stop(site: Site, **arguments: Any) -> gevent.Greenlet[..., None]:
    """Let the server stop in a greenlet beside the test, and let that start."""
    greenlet = gevent.spawn(site.server.stop, **{"timeout": LONG, **arguments})
    while not site.server.stopping:
        gevent.sleep(0)
    return greenlet


def leaving(site: Site) -> None:
    """Wait until a connection waits for its service, so that it can close."""
    wait_until(lambda: any("LEAVING" in repr(each) for each in site.server.websockets))


def answer_close(client: RawClient, code: int = 1001) -> None:
    assert client.close_code() == (code, "")
    client.send(close_frame(code))
    assert client.read_to_end() == b""


class Slow(Echo):
    """Answers when allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = Signal()

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self._called("received", message, connection)
        self.go_on.wait()
        connection.send(message)


class SlowReader(Recorder):
    """The same in the pull style."""

    received = WebSocketService.received

    def __init__(self) -> None:
        super().__init__()
        self.go_on = Signal()

    def run(self, connection: WebSocketConnection) -> None:
        for message in connection:
            self._called("received", message, connection)
            self.go_on.wait()
            connection.send(message)


class TestMessagesThatHaveArrived:
    @pytest.mark.parametrize("kind", [Slow, SlowReader])
    def test_they_are_answered_before_the_close(self, serve: Serve, kind: type[Slow]) -> None:
        service = kind()
        site = serve(service, close_timeout=LONG)
        client = site.connect()
        service.expect("connected")
        client.send(b"".join(masked(TEXT, str(number)) for number in range(10)))
        service.expect("received", "0")
        stopped = stop(site)
        leaving(site)
        service.go_on.set()
        for number in range(10):
            assert client.frame() == Frame(TEXT, str(number).encode())
        answer_close(client)
        stopped.get()
        for number in range(1, 10):
            service.expect("received", str(number))
        service.expect("disconnected", 1001)

    @pytest.mark.parametrize("kind", [Slow, SlowReader])
    def test_so_are_those_that_did_not_fit_into_the_inbox(self, serve: Serve, kind: type[Slow]) -> None:
        service = kind()
        site = serve(service, close_timeout=LONG, max_inbox_messages=2)
        client = site.connect()
        service.expect("connected")
        client.send(b"".join(masked(TEXT, str(number)) for number in range(300)) + masked(PING, "?"))
        service.expect("received", "0")
        stopped = stop(site)
        leaving(site)
        service.go_on.set()
        answers = []
        while (frame := client.frame()).opcode != CLOSE:
            if frame.opcode == TEXT:
                answers.append(frame.payload)
        assert answers == [str(number).encode() for number in range(300)]
        client.send(close_frame(1001))
        stopped.get()

    def test_what_arrives_later_is_not_for_the_service(self, serve: Serve) -> None:
        service = Slow()
        site = serve(service, close_timeout=LONG)
        client = site.connect()
        service.expect("connected")
        client.send(masked(TEXT, "in time"))
        service.expect("received", "in time")
        stopped = stop(site)
        leaving(site)
        client.send(masked(TEXT, "too late"))
        service.go_on.set()
        assert client.frame() == Frame(TEXT, b"in time")
        answer_close(client)
        stopped.get()
        service.expect("disconnected", 1001)

    def test_a_close_of_the_peer_among_them_comes_first(self, serve: Serve) -> None:
        service = Slow()
        site = serve(service, close_timeout=LONG, max_inbox_messages=1)
        client = site.connect()
        service.expect("connected")
        # So many that the close frame is not parsed yet.
        client.send(b"".join(masked(TEXT, str(number)) for number in range(200)) + close_frame(4000, "bye"))
        service.expect("received", "0")
        stopped = stop(site)
        leaving(site)
        service.go_on.set()
        for number in range(200):
            assert client.frame() == Frame(TEXT, str(number).encode())
        assert client.close_code() == (4000, "")
        stopped.get()
        for number in range(1, 200):
            service.expect("received", str(number))
        service.expect("disconnected", 4000)

    def test_a_service_that_is_busy_for_too_long_does_not_keep_the_peer(self, serve: Serve) -> None:
        service = Slow()
        site = serve(service, close_timeout=0.3)
        client = site.connect()
        service.expect("connected")
        client.send(masked(TEXT, "first") + masked(TEXT, "second"))
        service.expect("received", "first")
        stopped = stop(site)
        assert client.close_code() == (1001, "")
        service.go_on.set()
        service.expect("received", "second")
        stopped.get()

    def test_a_service_that_only_sends_ends_at_once(self, serve: Serve) -> None:
        class Ticker(WebSocketService):
            def run(self, connection: WebSocketConnection) -> None:
                while connection.active:
                    connection.send("tick")
                    gevent.sleep(0.01)

        site = serve(Ticker(), close_timeout=LONG)
        client = site.connect()
        assert client.frame() == Frame(TEXT, b"tick")
        stopped = stop(site)
        answer_close(client)
        stopped.get()

    def test_an_old_connection_is_closed_after_its_answers(self, serve: Serve) -> None:
        service = Slow()
        site = serve(service, max_connection_age=0.2, close_timeout=LONG)
        client = site.connect()
        service.expect("connected")
        client.send(masked(TEXT, "taken"))
        service.expect("received", "taken")
        leaving(site)
        service.go_on.set()
        assert client.frame() == Frame(TEXT, b"taken")
        assert client.close_code() == (1012, "This connection has lived long enough")


class TestCodes:
    def test_drain_code_says_what_websockets_are_closed_with(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, drain_code=1012)
        client = site.connect()
        service.expect("connected")
        stopped = stop(site)
        answer_close(client, 1012)
        stopped.get()
        service.expect("disconnected", 1012)

    def test_stop_may_say_otherwise(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, drain_code=1012)
        client = site.connect()
        service.expect("connected")
        stopped = stop(site, reason=4001)
        answer_close(client, 4001)
        stopped.get()

    def test_a_reason_that_may_not_be_sent_is_refused_and_nothing_stops(self, serve: Serve) -> None:
        site = serve(Recorder())
        with pytest.raises(ValueError, match="1006"):
            site.server.stop(reason=1006)
        assert not site.server.stopping

    @pytest.mark.parametrize("code", [True, "1012", 1012.0])
    def test_drain_code_must_be_a_number(self, code: Any) -> None:
        with pytest.raises(TypeError, match="'drain_code' must be a close code such as 1012"):
            WebSocketServer(("127.0.0.1", 0), drain_code=code)

    @pytest.mark.parametrize("code", [1000, 1006, 1011, 2999, 5000])
    def test_drain_code_must_tell_clients_to_come_back_or_be_of_the_applications_own(self, code: int) -> None:
        with pytest.raises(ValueError, match="1001, 1012, 1013 or 3000 to 4999"):
            WebSocketServer(("127.0.0.1", 0), drain_code=code)


class TestWindow:
    def test_websockets_go_one_after_the_other_and_work_until_then(self, serve: Serve) -> None:
        service = Echo()
        site = serve(service, stop_timeout=LONG, drain_window=LONG)
        first, *others = [site.connect() for _ in range(3)]
        for _ in range(3):
            service.expect("connected")
        stopped = stop(site)
        answer_close(first)
        for client in others:
            client.send(masked(TEXT, "still here"))
            assert client.frame() == Frame(TEXT, b"still here")
            client.send(close_frame(1000))
        stopped.get()

    def test_they_are_spread_evenly_and_all_are_asked_before_the_end(self, monkeypatch: Any) -> None:
        now = 0.0
        asked: list[float] = []

        class Connection:
            def _leave(self, reason: int) -> None:
                asked.append(now)

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds

        monkeypatch.setattr(departure, "monotonic", lambda: now)
        monkeypatch.setattr(departure, "gevent", SimpleNamespace(sleep=sleep))
        connections: Any = [Connection() for _ in range(100)]
        departure.Departure(connections, WebSocketCloseReasonCode.GOING_AWAY, 5).run(lambda: 60)
        assert len(asked) == 100
        for number, moment in enumerate(asked):
            assert moment == pytest.approx(number / 20, abs=2 * departure.STEP)
        now = 0.0
        asked.clear()
        departure.Departure(connections, WebSocketCloseReasonCode.GOING_AWAY, 50).run(lambda: 10)
        assert len(asked) == 100
        assert 8.5 < asked[-1] <= 9 + departure.STEP

    def test_a_second_stop_that_has_less_time_ends_it(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, stop_timeout=LONG, drain_window=LONG)
        clients = [site.connect() for _ in range(10)]
        for _ in clients:
            service.expect("connected")
        stopped = stop(site)
        gevent.spawn(site.server.stop, 2)
        for client in clients:
            answer_close(client)
        stopped.get()
        for _ in clients:
            service.expect("disconnected", 1001)

    def test_one_longer_than_stop_may_last_is_refused(self) -> None:
        with pytest.raises(
            ValueError, match="'drain_window' must not be longer than stop_timeout, 10 s, not 11"
        ):
            WebSocketServer(("127.0.0.1", 0), drain_window=11)

    def test_without_websockets_nobody_waits_for_it(self, serve: Serve) -> None:
        site = serve(Recorder(), application=hello, stop_timeout=LONG, drain_window=LONG)
        site.server.stop()


class TestNewConnections:
    def test_who_waits_to_be_accepted_is_served(self, serve: Serve) -> None:
        site = serve(application=hello)
        clients = []
        for _ in range(5):
            plain = socket.socket()
            clients.append(site.connect(None, sock=plain))
            plain.settimeout(PATIENCE)
        for client in clients:
            # Connected by the kernel: the hub, which accepts, does not run meanwhile.
            client.sock.setblocking(False)
            client.sock.connect_ex(("127.0.0.1", site.port))
        stopped = gevent.spawn(site.server.stop, LONG)
        gevent.sleep(0)
        for client in clients:
            client.sock.setblocking(True)
            client.sock.settimeout(PATIENCE)
            client.send(GET)
            assert "Connection: close" in client.read_head()
        stopped.get()

    def test_one_that_says_nothing_holds_nobody_up_for_long(self, serve: Serve) -> None:
        site = serve(application=hello)
        client = site.connect(None)
        wait_until(lambda: site.server.http_connections)
        began = monotonic()
        site.server.stop(LONG)
        assert client.read_to_end() == b""
        assert 0.9 < monotonic() - began < PATIENCE

    def test_its_first_request_is_answered(self, serve: Serve) -> None:
        site = serve(application=hello)
        client = site.connect(None)
        wait_until(lambda: site.server.http_connections)
        stopped = stop(site)
        client.send(GET)
        assert "Connection: close" in client.read_head()
        assert client.read_to_end() == b"hello"
        stopped.get()

    def test_a_handshake_of_tls_may_be_completed(self, serve: Serve, certificates: Certificates) -> None:
        site = serve(application=hello, ssl_context=certificates.server())
        plain = connected_socket(site.port)
        wait_until(lambda: site.server.http_connections)
        stopped = stop(site)
        client = site.connect(
            None, sock=certificates.client().wrap_socket(plain, server_hostname="localhost")
        )
        client.send(GET)
        assert "Connection: close" in client.read_head()
        client.read_to_end()
        stopped.get()

    def test_so_may_not_one_that_takes_too_long(self, serve: Serve, certificates: Certificates) -> None:
        site = serve(application=hello, ssl_context=certificates.server())
        client = site.connect(None)
        wait_until(lambda: site.server.http_connections)
        site.server.stop(LONG)
        assert client.read_to_end() == b""
