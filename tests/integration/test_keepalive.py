"""``connection_timeout``: which peers are pinged or dropped, and whose silence is not their fault."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic

import gevent
import pytest
import websocket
from gevent.event import Event as Signal

from geventkws import ServiceRegistry, WebSocketConnection
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import BINARY, CLOSE, PING, PONG, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE, wait_until

Flooding = tuple[WebSocketConnection, socket.socket, Callable[..., None]]

TIMEOUT = 0.6
"""Seconds; long enough not to take a busy machine for a silent peer."""

SHORT = 0.3
"""Seconds, for a peer that is silent anyway."""

LIMIT = 0.8
"""Seconds, for other limits: longer than a busy machine keeps everybody waiting."""


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    with gevent.Timeout(100):
        yield


def with_timeout(service: Recorder, timeout: float | None) -> Recorder:
    service.connection_timeout = timeout
    return service


def burn(seconds: float) -> None:
    """Use the CPU, so that the hub cannot run."""
    end = monotonic() + seconds
    while monotonic() < end:
        pass


class TestSilence:
    def test_half_of_the_timeout_brings_a_ping_and_all_of_it_the_end(self, serve: Serve) -> None:
        service = with_timeout(Recorder(), SHORT)
        site = serve(service)
        begun = monotonic()
        client = site.connect()
        service.expect("connected")
        assert client.frame() == Frame(PING, b"")
        assert monotonic() - begun >= SHORT / 2
        assert service.calls.empty()
        service.expect("disconnected", 1006)
        assert monotonic() - begun >= SHORT
        assert client.read_to_end() == b""  # 1006 is never sent
        site.wait_until_empty()
        service.expect_nothing_more()

    def test_a_pong_is_a_sign_of_life(self, serve: Serve) -> None:
        service = with_timeout(Recorder(), TIMEOUT)
        client = serve(service).connect()
        service.expect("connected")
        for _ in range(4):
            assert client.frame() == Frame(PING, b"")
            client.send(masked(PONG))
        assert service.calls.empty()
        client.send(close_frame(1000))
        service.expect("disconnected", 1000)

    @pytest.mark.parametrize(
        "life", [masked(TEXT, "x"), masked(PING, "x"), masked(PONG, "unsolicited"), b"\x82"], ids=repr
    )
    def test_whatever_arrives_is_a_sign_of_life(self, serve: Serve, life: bytes) -> None:
        service = with_timeout(Recorder(), TIMEOUT)
        client = serve(service).connect()
        service.expect("connected")
        assert client.frame() == Frame(PING, b"")
        pinged = monotonic()
        client.send(life)
        while client.frame().opcode != PING:  # it starts again
            pass
        assert monotonic() - pinged >= TIMEOUT / 2 * 0.9
        assert "disconnected" not in [call[0] for call in service.calls.queue]

    def test_a_peer_that_sends_is_not_pinged(self, serve: Serve) -> None:
        client = serve(with_timeout(Echo(), 4 * TIMEOUT)).connect()
        end = monotonic() + 3 * TIMEOUT
        while monotonic() < end:
            client.send(masked(TEXT, "x"))
            assert client.frame() == Frame(TEXT, b"x")
            gevent.sleep(TIMEOUT / 20)

    def test_a_clients_automatic_pong_keeps_it_connected(self, serve: Serve) -> None:
        service = with_timeout(Echo(), TIMEOUT)
        site = serve(service)
        client = websocket.create_connection(f"ws://127.0.0.1:{site.port}/service", timeout=PATIENCE)
        reader = gevent.spawn(client.recv)
        gevent.sleep(2.5 * TIMEOUT)
        client.send("still here")
        assert reader.get() == "still here"
        client.close()

    def test_without_a_timeout_nobody_is_pinged_and_others_keep_theirs(self, serve: Serve) -> None:
        services = {path: with_timeout(Recorder(), timeout) for path, timeout in TIMEOUTS.items()}
        site = serve(paths=services)
        begun = monotonic()
        clients = {path: site.connect(f"/{path}") for path in services}
        for path in ("short", "long"):
            services[path].expect("connected")
            services[path].expect("disconnected", 1006)
            assert monotonic() - begun >= (TIMEOUTS[path] or 0)
            assert clients[path].frame() == Frame(PING, b"")
        assert not services["long"].connections[0].active
        assert services["never"].connections[0].active
        services["never"].connections[0].send("and no ping before")
        assert clients["never"].frame() == Frame(TEXT, b"and no ping before")

    def test_a_service_may_join_a_running_server_with_a_shorter_timeout(self, serve: Serve) -> None:
        site = serve(paths={"never": Recorder()})
        site.connect("/never")
        service = with_timeout(Recorder(), SHORT / 2)
        site.server.services.register(service, "late")
        site.connect("/late")
        service.expect("connected")
        service.expect("disconnected", 1006)
        assert site.server._connections._interval < SHORT / 2, "otherwise the two looks are a second apart"

    @pytest.mark.parametrize("timeout", [0, -1, float("nan"), "60", True])
    def test_a_timeout_that_makes_no_sense_is_refused(self, timeout: object) -> None:
        service = Recorder()
        service.connection_timeout = timeout  # type: ignore[assignment]  # the mistake
        with pytest.raises((TypeError, ValueError), match="connection_timeout"):
            ServiceRegistry().register(service, "service")

    def test_it_is_dropped_while_its_callback_is_busy(self, serve: Serve) -> None:
        go_on = Signal()
        service = with_timeout(Recorder(received=lambda message, connection: go_on.wait()), SHORT)
        client = serve(service).connect()
        client.send(masked(TEXT, "work"))
        service.expect("connected")
        service.expect("received", "work")
        assert client.frame() == Frame(PING, b"")
        assert client.read_to_end() == b""
        assert service.calls.empty()
        go_on.set()
        service.expect("disconnected", 1006)


TIMEOUTS: dict[str, float | None] = {"short": SHORT, "long": 3 * SHORT, "never": None}


class TestTheClockStandsStill:
    def test_while_the_inbox_is_full(self, serve: Serve) -> None:
        go_on = Signal()
        service = with_timeout(Recorder(received=lambda message, connection: go_on.wait()), SHORT)
        client = serve(service, max_inbox_messages=2).connect()
        for index in range(4):
            client.send(masked(TEXT, str(index)))
            gevent.sleep(0.01)  # so that each is a separate read
        service.expect("connected")
        service.expect("received", "0")
        gevent.sleep(4 * SHORT)
        assert service.connections[0].active
        go_on.set()
        for index in range(1, 4):
            service.expect("received", str(index))
        # And it continues from where it was: the peer has been silent all along.
        assert client.frame() == Frame(PING, b"")
        service.expect("disconnected", 1006)

    def test_once_the_peer_has_closed(self, serve: Serve) -> None:
        go_on = Signal()
        service = with_timeout(Recorder(received=lambda message, connection: go_on.wait()), SHORT)
        client = serve(service).connect()
        client.send(masked(TEXT, "work") + close_frame(1000))
        service.expect("connected")
        service.expect("received", "work")
        gevent.sleep(3 * SHORT)
        go_on.set()
        assert client.frame() == Frame(CLOSE, (1000).to_bytes(2, "big"))
        service.expect("disconnected", 1000)

    def test_while_the_peer_reads_what_precedes_the_ping(self, serve: Serve) -> None:
        size = 6_000_000

        service = with_timeout(Recorder(connected=lambda connection: connection.send(bytes(size))), TIMEOUT)
        site = serve(service, max_send_buffer=2 * size)
        client = site.connect(receive_buffer=8192)
        service.expect("connected")
        read, end = len(client.buffer), monotonic() + 3 * TIMEOUT
        while monotonic() < end:
            read += len(client.sock.recv(8192))
            gevent.sleep(TIMEOUT / 50)
        assert 0 < read < size / 2  # most still waits
        assert service.connections[0].active
        while read < size:
            read += len(client.sock.recv(256 * 1024))
        client.buffer = b""
        client.send(close_frame(1000))
        service.expect("disconnected", 1000)

    def test_until_the_ping_has_left(self, serve: Serve) -> None:
        size, timeout = 6_000_000, 2 * TIMEOUT
        service = with_timeout(Recorder(connected=lambda connection: connection.send(bytes(size))), timeout)
        site = serve(service, max_send_buffer=2 * size)
        client = site.connect(receive_buffer=65536)
        service.expect("connected")
        gevent.sleep(timeout * 0.8)  # since half of it, the ping has been queued behind the message
        read = len(client.buffer)
        while read < size:
            read += len(client.sock.recv(256 * 1024))
        gevent.sleep(timeout * 0.3)
        client.send(masked(PONG))
        service.connections[0].send("alive")
        assert service.connections[0].active
        client.send(close_frame(1000))
        service.expect("disconnected", 1000)

    def test_but_not_for_a_peer_that_reads_nothing(self, serve: Serve) -> None:
        service = with_timeout(
            Recorder(connected=lambda connection: connection.send(bytes(9_000_000))), SHORT
        )
        site = serve(service, max_send_buffer=10_000_000)
        site.connect(receive_buffer=8192)
        service.expect("connected")
        service.expect("disconnected", 1006)
        site.wait_until_empty()


@pytest.mark.alone
class TestABlockedHub:
    def test_a_pong_that_waits_in_the_kernel_counts(self, serve: Serve) -> None:
        service = with_timeout(Echo(), TIMEOUT)
        client = serve(service).connect()
        service.expect("connected")
        for _ in range(2):
            assert client.frame() == Frame(PING, b"")
            client.send(masked(PONG))
            burn(2 * TIMEOUT)
        client.send(masked(TEXT, "alive"))
        while (frame := client.frame()).opcode == PING:
            pass
        assert frame == Frame(TEXT, b"alive")

    def test_no_healthy_peer_is_dropped(self, serve: Serve) -> None:
        def work(message: str, connection: WebSocketConnection) -> None:
            if message == "burn":
                burn(2 * TIMEOUT)
            connection.send(message)

        service = with_timeout(Recorder(received=work), TIMEOUT)
        site = serve(service)
        with peers_in_a_process_of_their_own(site, count=20) as peers:
            for _ in range(20):
                service.expect("connected")
            active = site.connect()
            service.expect("connected")
            for _ in range(2):
                active.send(masked(TEXT, "burn"))
                service.expect("received", "burn")
                while (frame := active.frame()).opcode == PING:
                    active.send(masked(PONG))
                assert frame == Frame(TEXT, b"burn")
            service.expect_nothing_more()
            assert len(site.server.websockets) == 21
            # The process that answered for them is stopped, so they are now cut off.
            peers.send_signal(signal.SIGSTOP)
            for _ in range(20):
                service.expect("disconnected", 1006)

    def test_a_close_that_waits_in_the_kernel_counts(self, serve: Serve) -> None:
        service = Recorder(received=lambda message, connection: connection.close())
        site = serve(service, close_timeout=LIMIT)
        client = site.connect()
        client.send(masked(TEXT, "x"))
        assert client.close_code() == (1000, "")
        client.send(close_frame(1000))
        burn(2 * LIMIT)
        for call in [("connected",), ("received", "x"), ("disconnected", 1000)]:
            service.expect(*call)

    def test_a_request_that_waits_in_the_kernel_counts(self, serve: Serve) -> None:
        site = serve(Recorder(), head_timeout=LIMIT)
        client = site.connect(None)
        wait_until(lambda: site.server.http_connections == 1)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        burn(2 * LIMIT)
        assert client.read_head().startswith("HTTP/1.1 404 ")

    def test_room_in_the_kernel_counts(self, serve: Serve) -> None:
        size = 8_000_000
        service = Recorder(connected=lambda connection: connection.send(bytes(size)))
        site = serve(service, max_send_buffer=2 * size, send_timeout=LIMIT)
        client = site.connect(receive_buffer=65536)
        service.expect("connected")
        wait_until(lambda: service.connections[0]._channel.awaits_room)
        client.sock.setblocking(False)
        read, end = len(client.buffer), monotonic() + 2 * LIMIT
        while monotonic() < end:  # the hub cannot run, and the kernel's buffers empty
            try:
                read += len(client.sock.recv(65536))
            except BlockingIOError:
                continue
        client.sock.settimeout(PATIENCE)
        while read < size:
            data = client.sock.recv(256 * 1024)
            assert data, "the connection was dropped"
            read += len(data)
        assert service.connections[0].active


class peers_in_a_process_of_their_own:  # noqa: N801 - used as a function is
    """Clients that answer pings whatever this process does."""

    PROGRAM = """
        import selectors, socket, sys
        from tests.raw import PONG, RawClient, masked

        clients = [RawClient(int(sys.argv[1]), "/service") for _ in range(int(sys.argv[2]))]
        selector = selectors.DefaultSelector()
        for client in clients:
            selector.register(client.sock, selectors.EVENT_READ, client)
        while clients:
            for key, _ in selector.select():
                if not key.data.sock.recv(1000):
                    sys.exit()
                key.data.send(masked(PONG))
    """

    def __init__(self, site: Site, count: int) -> None:
        program = textwrap.dedent(self.PROGRAM)
        self.process = subprocess.Popen([sys.executable, "-c", program, str(site.port), str(count)])

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()


def answer_pings(client: RawClient) -> None:
    """Answer pings; nothing else may arrive."""
    while True:
        assert client.frame() == Frame(PING, b"")
        client.send(masked(PONG))


@pytest.mark.alone
class TestMany:
    def test_one_timer_looks_after_thousands(self, serve: Serve) -> None:
        count, timeout = 2000, 3.0
        service = with_timeout(Recorder(), timeout)
        site = serve(service)
        with ExitStack() as stack:
            alive, silent, answering = [], [], []
            for _ in range(count // 2):  # the first is pinged before the last one connects
                alive.append(stack.enter_context(RawClient(site.port, "/service")))
                answering.append(gevent.spawn(answer_pings, alive[-1]))
                silent.append(stack.enter_context(RawClient(site.port, "/service")))
            for client in silent:
                assert client.frame() == Frame(PING, b"")
                assert client.read_to_end() == b""
            reasons: list[object] = []
            while len(reasons) < len(silent):
                call = service.calls.get()
                if call[0] == "disconnected":
                    reasons.append(call[1])
            assert set(reasons) == {1006}
            assert not any(greenlet.ready() for greenlet in answering)
            gevent.killall(answering)
            for client in alive:
                client.send(masked(BINARY, b"x"))
            with gevent.Timeout(PATIENCE):
                while sum(call[0] == "received" for call in service.calls.queue) < len(alive):
                    gevent.sleep(0.01)
            assert len(site.server.websockets) == len(alive)
            site.server.stop(timeout=0)
