"""``stop``: no new clients, a goodbye to everybody, delivery of what was taken, and an end to all waiting."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import monkey
from gevent.event import Event as Signal
from gevent.threadpool import ThreadPool

from geventkws import WebSocketConnection, WebSocketServer, WebSocketService
from geventkws.server import shutdown
from tests.certificates import Certificates
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import BINARY, TEXT, Frame, RawClient, close_frame, masked, upgrade_request
from tests.tls import connected_socket
from tests.waiting import LONG, PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

pytestmark = pytest.mark.usefixtures("in_time")


def stop(site: Site, timeout: float | None = LONG) -> gevent.Greenlet[..., None]:
    """Let the server stop in a greenlet beside the test, and let that start."""
    greenlet = gevent.spawn(site.server.stop, timeout)
    while not site.server.stopping:
        gevent.sleep(0)
    return greenlet


def answer_close(client: RawClient) -> None:
    assert client.close_code() == (1001, "")
    client.send(close_frame(1001))
    assert client.read_to_end() == b""
    client.close()


class BlockingApplication:
    """Answers when allowed."""

    def __init__(self) -> None:
        self.called = Signal()
        self.go_on = Signal()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.called.set()
        self.go_on.wait()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]


class TestWebSockets:
    def test_each_is_closed_with_1001_which_disconnected_gets(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        clients = [site.connect() for _ in range(20)]
        for _ in clients:
            service.expect("connected")
        stopped = stop(site)
        for client in clients:
            answer_close(client)
        stopped.get()
        assert not site.server.websockets
        for _ in clients:
            service.expect("disconnected", 1001)
        service.expect_nothing_more()

    def test_the_listener_goes_first(self, serve: Serve) -> None:
        site = serve(Recorder())
        client = site.connect()
        stopped = stop(site)
        assert client.close_code() == (1001, "")
        with pytest.raises(ConnectionRefusedError):
            connected_socket(site.port)
        client.send(close_frame(1001))
        client.close()
        stopped.get()

    def test_what_send_has_taken_leaves_before_the_close(self, serve: Serve) -> None:
        message = bytes(100_000)

        def flood(connection: WebSocketConnection) -> None:
            for _ in range(60):
                assert connection.send(message)

        service = Recorder(connected=flood)
        site = serve(service, max_send_buffer=10_000_000)
        client = site.connect(receive_buffer=8192)
        service.expect("connected")
        stopped = stop(site)
        gevent.sleep(0.05)
        for _ in range(60):
            assert client.frame() == Frame(BINARY, message)
        answer_close(client)
        stopped.get()
        service.expect("disconnected", 1001)

    def test_what_send_has_taken_from_another_thread_leaves_before_the_close(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        service.expect("connected")
        lock = monkey.get_original("_thread", "allocate_lock")()
        lock.acquire()

        def in_thread() -> None:
            for index in range(100):
                assert service.connections[0].send(str(index))
            lock.release()

        monkey.get_original("_thread", "start_new_thread")(in_thread, ())
        assert lock.acquire(timeout=PATIENCE)  # the hub cannot run, so nothing has been sent yet

        def read_all() -> None:
            for index in range(100):
                assert client.frame() == Frame(TEXT, str(index).encode())
            answer_close(client)

        reader = gevent.spawn(read_all)
        site.server.stop(timeout=LONG)
        reader.get()

    def test_a_peer_that_answers_need_not_hang_up(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, close_timeout=LONG)
        client = site.connect()
        service.expect("connected")
        began = monotonic()
        stopped = stop(site)
        assert client.close_code() == (1001, "")
        client.send(close_frame(1001))
        service.expect("disconnected", 1001)
        stopped.get()
        assert monotonic() - began < LONG / 2
        assert client.read_to_end() == b""

    def test_a_peer_that_was_dropped_and_does_not_hang_up_costs_no_more_than_a_moment(
        self, serve: Serve
    ) -> None:
        service = Recorder(received=lambda message, connection: connection.drop(1008))
        site = serve(service, close_timeout=LONG)
        client = site.connect()
        client.send(masked(TEXT, "go away"))
        assert client.close_code() == (1008, "")
        for call in [("connected",), ("received", "go away"), ("disconnected", 1008)]:
            service.expect(*call)
        began = monotonic()
        site.server.stop(LONG)
        assert monotonic() - began < LONG / 2
        assert not site.server.websockets

    def test_a_peer_that_does_not_answer_is_dropped_at_the_timeout(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, close_timeout=LONG)
        client = site.connect()
        service.expect("connected")
        site.server.stop(timeout=0.2)
        assert not site.server.websockets
        service.expect("disconnected", 1006)
        service.expect_nothing_more()
        assert client.close_code() == (1001, "")
        assert client.read_to_end() == b""

    def test_a_callback_may_end_within_the_timeout(self, serve: Serve) -> None:
        go_on = Signal()
        service = Recorder(received=lambda message, connection: go_on.wait())
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "work"))
        service.expect("connected")
        service.expect("received", "work")
        stopped = stop(site)
        service.expect_nothing_more()
        assert not stopped.dead
        go_on.set()
        answer_close(client)
        stopped.get()
        service.expect("disconnected", 1001)

    def test_a_callback_that_blocks_does_not_hold_stop_up(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutdown, "LAST_MOMENT", LONG)
        go_on = Signal()
        service = Recorder(received=lambda message, connection: go_on.wait())
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "work"))
        service.expect("connected")
        service.expect("received", "work")
        started = monotonic()
        stopped = stop(site, 0.2)
        answer_close(client)
        stopped.get()
        assert monotonic() - started < LONG / 2, "the peer is not waited for"
        assert any(
            text.startswith("Some callbacks did not end in time: Recorder of 127.0.0.1:")
            for text in caplog.messages
        )
        service.expect_nothing_more()
        go_on.set()
        service.expect("disconnected", 1001)
        service.expect_nothing_more()
        site.wait_until_empty()

    def test_disconnected_has_a_moment_even_after_the_timeout(self, serve: Serve) -> None:
        service = Recorder(disconnected=lambda connection, reason: gevent.sleep(0.1))
        site = serve(service)
        site.connect()
        service.expect("connected")
        site.server.stop(timeout=0)
        assert not site.server.websockets
        service.expect("disconnected", 1006)

    def test_run_ends(self, serve: Serve) -> None:
        ended: list[object] = []

        class Pull(WebSocketService):
            def run(self, connection: WebSocketConnection) -> None:
                ended.extend(connection)
                ended.append(connection.active)

        site = serve(Pull())
        client = site.connect()
        client.send(masked(TEXT, "one"))
        gevent.sleep(0.02)
        stopped = stop(site)
        answer_close(client)
        stopped.get()
        assert ended == ["one", False]


class TestRacingUpgrades:
    def test_a_request_that_comes_too_late_gets_503(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect(None)
        request = upgrade_request("/service")
        client.send(request[:-2])
        gevent.sleep(0.05)  # the server has the beginning, so the request has begun
        stopped = stop(site)
        client.send(request[-2:])
        assert client.read_head().startswith("HTTP/1.1 503 ")
        client.read_to_end()
        client.close()
        stopped.get()
        service.expect_nothing_more()

    def test_one_that_was_let_in_meanwhile_is_closed_with_1001(self, serve: Serve) -> None:
        asked, go_on = Signal(), Signal()

        class Doorman(Recorder):
            def connecting(self, request: object) -> None:
                asked.set()
                go_on.wait()

        service = Doorman()
        site = serve(service)
        client = site.connect(None)
        client.send(upgrade_request("/service"))
        asked.wait()
        stopped = stop(site)
        gevent.sleep(0.05)  # meanwhile those that were connected are told
        go_on.set()
        assert client.read_head().startswith("HTTP/1.1 101 ")
        answer_close(client)
        stopped.get()
        service.expect("connected")
        service.expect("disconnected", 1001)
        service.expect_nothing_more()

    def test_a_connection_that_was_not_begun_is_closed(self, serve: Serve) -> None:
        site = serve(Recorder())
        client = RawClient(site.port)
        site.server.stop(timeout=LONG)
        try:
            assert client.read_to_end() == b""
        except ConnectionResetError:
            pass  # it was still in the listener's queue
        finally:
            client.close()


class TestHTTP:
    def test_idle_connections_end_at_once(self, serve: Serve, certificates: Certificates) -> None:
        application = BlockingApplication()
        application.go_on.set()
        site = serve(application=application)
        fresh, used = site.connect(None), site.connect(None)
        for _ in range(2):
            used.send(GET)
            assert "Connection: close" not in used.read_head()
            assert used.read_body(4) == b"done"
        tls = serve(certfile=certificates.bothfile)
        shaking_hands = connected_socket(tls.port)
        shaking_hands.sendall(b"\x16\x03\x01\x02")
        gevent.sleep(0.05)
        site.server.stop(timeout=LONG)
        tls.server.stop(timeout=LONG)
        assert fresh.read_to_end() == used.read_to_end() == shaking_hands.recv(1) == b""
        shaking_hands.close()

    def test_a_request_under_way_is_answered_and_is_the_last(self, serve: Serve) -> None:
        application = BlockingApplication()
        site = serve(application=application)
        client = site.connect(None)
        client.send(GET + GET)
        application.called.wait()
        stopped = stop(site)
        gevent.sleep(0.05)
        assert not stopped.dead
        application.go_on.set()
        assert "Connection: close" in client.read_head()
        assert client.read_to_end() == b"done"
        client.close()
        stopped.get()

    def test_a_response_under_way_is_completed_and_is_the_last(self, serve: Serve) -> None:
        go_on = Signal()

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Length", "8")])
            yield b"half"
            go_on.wait()
            yield b"half"

        site = serve(application=application)
        client = site.connect(None)
        client.send(GET)
        assert "Connection: close" not in client.read_head()
        stopped = stop(site)
        go_on.set()
        assert client.read_to_end() == b"halfhalf"
        stopped.get()

    def test_a_request_that_has_begun_to_arrive_is_answered(self, serve: Serve) -> None:
        application = BlockingApplication()
        application.go_on.set()
        site = serve(application=application)
        client = site.connect(None)
        client.send(GET[:10])
        gevent.sleep(0.05)
        stopped = stop(site)
        client.send(GET[10:])
        assert "Connection: close" in client.read_head()
        assert client.read_to_end() == b"done"
        stopped.get()

    def test_one_that_takes_too_long_is_killed(self, serve: Serve) -> None:
        called, ended = Signal(), []

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            called.set()
            try:
                Signal().wait()
            finally:
                ended.append(True)
            return []

        site = serve(application=application)
        client = site.connect(None)
        client.send(GET)
        called.wait()
        site.server.stop(timeout=0.1)
        assert ended
        assert not site.server.http_connections
        assert client.read_to_end() == b""

    def test_one_that_will_not_be_killed_loses_its_connection(self, serve: Serve) -> None:
        go_on = Signal()
        called = Signal()

        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            called.set()
            while not go_on.is_set():
                try:
                    go_on.wait()
                except gevent.GreenletExit:
                    continue
            start_response("200 OK", [])
            return [b"too late"]

        site = serve(application=application)
        client = site.connect(None)
        client.send(GET)
        called.wait()
        site.server.stop(timeout=0.1)
        assert client.read_to_end() == b""
        go_on.set()
        site.wait_until_empty()

    def test_a_request_may_stop_the_server(self, serve: Serve) -> None:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            site.server.stop(timeout=LONG)
            start_response("200 OK", [])
            return [b"stopped"]

        site = serve(application=application)
        client = site.connect(None)
        client.send(GET)
        assert "Connection: close" in client.read_head()
        assert client.read_to_end() == b"stopped"


class TestItsOwnCaller:
    """A callback or an application that calls ``stop`` waits for all connections but its own."""

    def test_received_may_stop_the_server(self, serve: Serve) -> None:
        stopped = Signal()

        def stop_it(message: object, connection: WebSocketConnection) -> None:
            site.server.stop(timeout=LONG)
            stopped.set()

        service = Recorder(received=stop_it)
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "stop"))
        stopped.wait()
        answer_close(client)
        for call in [("connected",), ("received", "stop"), ("disconnected", 1001)]:
            service.expect(*call)
        site.wait_until_empty()

    def test_it_waits_for_the_others(self, serve: Serve) -> None:
        stopped = Signal()

        def stop_it(message: object, connection: WebSocketConnection) -> None:
            site.server.stop(timeout=LONG)
            stopped.set()

        site = serve(Recorder(received=stop_it))
        other, client = site.connect(), site.connect()
        client.send(masked(TEXT, "stop"))
        assert other.close_code() == (1001, "")
        gevent.sleep(0.05)
        assert not stopped.is_set()
        other.send(close_frame(1001))
        stopped.wait()
        answer_close(client)

    def test_run_may_stop_the_server(self, serve: Serve) -> None:
        seen: list[object] = []

        class Pull(WebSocketService):
            def run(self, connection: WebSocketConnection) -> None:
                seen.append(connection.receive())
                site.server.stop(timeout=LONG)
                seen.append("stopped")

        site = serve(Pull())
        client = site.connect()
        client.send(masked(TEXT, "stop"))
        answer_close(client)
        site.wait_until_empty()
        assert seen == ["stop", "stopped"]

    def test_connecting_may_stop_the_server(self, serve: Serve) -> None:
        class Last(Recorder):
            def connecting(self, request: object) -> None:
                site.server.stop(timeout=LONG)

        service = Last()
        site = serve(service)
        client = site.connect(None)
        client.send(upgrade_request("/service"))
        assert client.read_head().startswith("HTTP/1.1 101 ")
        answer_close(client)
        service.expect("connected")
        service.expect("disconnected", 1001)

    def test_one_in_a_pool_may_stop_the_server(self, serve: Serve) -> None:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            site.server.stop(timeout=LONG)
            start_response("200 OK", [])
            return [b"stopped"]

        site = serve(application=application, spawn=2)
        client = site.connect(None)
        client.send(GET)
        assert client.read_to_end().endswith(b"stopped")

    def test_the_clock_goes_on_for_the_caller_until_it_is_over(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "geventkws.server")
        service = Recorder(received=lambda message, connection: site.server.stop(timeout=LONG))
        site = serve(service, close_timeout=0.1)
        client = site.connect()
        client.send(masked(TEXT, "stop"))
        assert client.close_code() == (1001, "")
        for call in [("connected",), ("received", "stop"), ("disconnected", 1006)]:
            service.expect(*call)
        site.wait_until_empty()
        gevent.sleep(0)
        assert caplog.messages.count("Stopped") == 1


class TestWhatItSays:
    def test_stopped_is_said_once(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "geventkws.server")
        site = serve(Recorder())
        forever = gevent.spawn(site.server.serve_forever)
        gevent.sleep(0)
        site.server.stop()
        forever.get()
        site.server.stop()
        assert caplog.messages.count("Stopped") == 1

    def test_a_server_that_was_never_started_says_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "geventkws.server")
        WebSocketServer(("127.0.0.1", 0)).stop()
        assert not caplog.messages

    def test_it_says_for_whom_it_waits_and_whom_it_drops(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutdown, "FIRST_REPORT", 0.1)
        monkeypatch.setattr(shutdown, "MOST_NAMED", 3)
        caplog.set_level("INFO", "geventkws.server")
        application, go_on, called = BlockingApplication(), Signal(), Signal()

        def work(message: object, connection: WebSocketConnection) -> None:
            called.set()
            go_on.wait()

        site = serve(Recorder(received=work), application=application)
        request, silent, busy, arriving = (
            site.connect(path) for path in (None, "/service", "/service", None)
        )
        request.send(b"GET /slow?a=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        application.called.wait()
        busy.send(masked(TEXT, "work"))
        called.wait()
        arriving.send(GET[:10])
        ports = [client.sock.getsockname()[1] for client in (request, silent, busy)]
        site.server.stop(timeout=0.3)
        names = (
            f"GET '/slow?a=1' of 127.0.0.1:{ports[0]}, "
            f"Recorder of 127.0.0.1:{ports[1]} (the client has not closed), "
            f"Recorder of 127.0.0.1:{ports[2]} (a callback has not returned) and 1 more"
        )
        assert caplog.messages.count(f"Stopping: waiting up to 0 s more for {names}") == 1
        assert caplog.messages.count(f"Stopping: the time is up, dropped: {names}") == 1
        blocked = f"Recorder of 127.0.0.1:{ports[2]} (a callback has not returned)"
        assert caplog.messages.count(f"Some callbacks did not end in time: {blocked}") == 1
        go_on.set()
        site.wait_until_empty()


class TestFromAnywhere:
    @pytest.mark.parametrize("at_work", [True, False])
    def test_another_thread_may_stop_the_server_and_waits_for_it(self, serve: Serve, at_work: bool) -> None:
        service = Recorder()
        site = serve(service)
        clients = [site.connect() for _ in range(2 * at_work)]
        pool = ThreadPool(1)
        stopped = pool.spawn(site.server.stop, LONG)
        for client in clients:
            gevent.sleep(0.05)
            assert not stopped.ready()
            answer_close(client)
        stopped.get()
        assert site.server.closed
        assert not site.server.websockets
        pool.kill()

    def test_another_thread_learns_that_the_server_no_longer_has_a_hub(self) -> None:
        def serve_in_thread() -> WebSocketServer:
            server = WebSocketServer(("127.0.0.1", 0))
            server.start()
            server.stop()
            gevent.get_hub().destroy(destroy_loop=True)
            return server

        pool = ThreadPool(1)
        server = pool.spawn(serve_in_thread).get()
        assert server is not None
        with pytest.raises(RuntimeError, match="the thread of the server has ended"):
            server.stop()
        pool.kill()

    def test_stopping_again_does_nothing(self, serve: Serve) -> None:
        service = Echo()
        site = serve(service)
        answer = gevent.spawn(answer_close, site.connect())
        for _ in range(3):
            site.server.stop(timeout=LONG)
        answer.get()
        service.expect("connected")
        service.expect("disconnected", 1001)
        service.expect_nothing_more()

    def test_a_server_that_was_not_started_may_be_stopped(self) -> None:
        WebSocketServer(("127.0.0.1", 0)).stop()

    def test_a_second_stop_may_shorten_the_first(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, close_timeout=LONG)
        site.connect()
        service.expect("connected")
        first = stop(site)
        site.server.stop(timeout=0.1)
        first.get()
        service.expect("disconnected", 1006)
        service.expect_nothing_more()

    def test_a_second_stop_without_a_timeout_waits_for_the_first(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, close_timeout=LONG, stop_timeout=0.001)
        client = site.connect()
        service.expect("connected")
        first = stop(site)
        second = stop(site, None)
        gevent.sleep(0.1)
        assert not first.dead
        assert not second.dead
        answer_close(client)
        gevent.joinall([first, second], raise_error=True)
        service.expect("disconnected", 1001)

    def test_serve_forever_returns_when_everything_is_over(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        forever = gevent.spawn(site.server.serve_forever)
        client = site.connect()
        service.expect("connected")
        stopped = stop(site)
        assert client.close_code() == (1001, "")
        gevent.sleep(0.05)
        assert not forever.dead
        client.send(close_frame(1001))
        client.close()
        forever.get()
        service.expect("disconnected", 1001)
        stopped.get()

    @pytest.mark.parametrize("kind", ["gevent", "standard library"])
    def test_a_signal_handler_may_stop_the_server(self, serve: Serve, kind: str) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        service.expect("connected")
        forever = gevent.spawn(site.server.serve_forever)
        before = signal.getsignal(signal.SIGUSR1)
        with ExitStack() as stack:
            if kind == "gevent":
                stack.callback(gevent.signal_handler(signal.SIGUSR1, site.server.stop, LONG).cancel)
            else:
                signal.signal(signal.SIGUSR1, lambda *args: site.server.stop(LONG))
                stack.callback(signal.signal, signal.SIGUSR1, before)
            gevent.spawn_later(0.05, os.kill, os.getpid(), signal.SIGUSR1)
            answer_close(client)
            forever.get()
        service.expect("disconnected", 1001)

    def test_the_hub_itself_does_not_wait(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service, close_timeout=LONG)
        site.connect()
        service.expect("connected")
        hub: Any = gevent.get_hub()
        hub.loop.run_callback(site.server.stop, 0.1)
        service.expect("disconnected", 1006)  # and yet the timeout is kept
        site.wait_until_empty()
