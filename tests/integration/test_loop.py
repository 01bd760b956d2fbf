"""The rules of the loop with real sockets: no greenlet without work, no exception out of a watcher."""

from __future__ import annotations

import contextvars
import gc
import logging
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import getcurrent
from gevent.event import Event
from gevent.local import local
from greenlet import greenlet

from geventkws import BACKEND, WebSocketConnection, WebSocketService
from geventkws.websocket.lifecycle import Lifecycle
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import CLOSE, TEXT, Frame, close_frame, masked, upgrade_request
from tests.waiting import PATIENCE

MANY = 10_000 if BACKEND == "compiled" else 1_000
"""Fewer where coverage may watch each step of each connection, which takes half a minute for 10,000."""

# Opens connections in turns of 100, waits for a line, sends a message on each and reads the echo.
CLIENTS = """
import socket, sys
port, count, request, message, echo = eval(sys.stdin.readline())
clients = []
def receive(client):
    return client.recv(1000) or sys.exit("closed by the server")
def in_turns(begin, end):
    for start in range(0, count, 100):
        for index in range(start, min(start + 100, count)): begin(index)
        for client in clients[start:start + 100]: end(client)
def connect(index):
    clients.append(socket.create_connection(("127.0.0.1", port), 20))
    clients[-1].sendall(request)
def read_head(client):
    data = b""
    while not data.endswith(b"\\r\\n\\r\\n"): data += receive(client)
def read_echo(client):
    data = b""
    while data != echo: data += receive(client)
in_turns(connect, read_head)
print("connected", flush=True)
sys.stdin.readline()
in_turns(lambda index: clients[index].sendall(message), read_echo)
print("echoed", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def many() -> Iterator[int]:
    """As many connections as the limit of open files allows, up to ``MANY``, with time to clean up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield MANY if hard == resource.RLIM_INFINITY else min(MANY, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def greenlets() -> int:
    gc.collect()
    # Not isinstance, which asks each object for its class: lazy ones of Django would do something for it.
    return sum(issubclass(type(each), greenlet) for each in gc.get_objects())


def test_thousands_of_idle_connections_hold_no_greenlets(serve: Serve, many: int) -> None:
    class QuietEcho(WebSocketService):
        def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
            connection.send(message)

    site = serve(QuietEcho(), backlog=1000)
    before = greenlets()
    with subprocess.Popen(
        [sys.executable, "-c", CLIENTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as clients:
        assert clients.stdin
        assert clients.stdout
        try:
            task = (site.port, many, upgrade_request("/service"), masked(TEXT, "hello"), b"\x81\x05hello")
            clients.stdin.write(f"{task!r}\n")
            with gevent.Timeout(100):
                assert clients.stdout.readline() == "connected\n"
            assert len(site.server.websockets) == many
            assert greenlets() - before < 10
            clients.stdin.write("\n")
            with gevent.Timeout(100):
                assert clients.stdout.readline() == "echoed\n"
            assert greenlets() - before < 10
        finally:
            clients.kill()
    site.wait_until_empty()


class TestReuse:
    """What a connection's callback leaves behind in its greenlet never reaches the next connection."""

    def two_connections(
        self, serve: Serve, leave: Callable[[], object], look: Callable[[], object]
    ) -> tuple[Site, Frame]:
        def received(message: str, connection: WebSocketConnection) -> None:
            if message == "leave":
                leave()
                connection.send("left")
            else:
                gevent.sleep(0.05)
                connection.send(str(look()))

        site = serve(Recorder(received=received))
        first, second = site.connect(), site.connect()
        first.send(masked(TEXT, "leave"))
        second.send(masked(TEXT, "look"))
        assert first.frame() == Frame(TEXT, b"left")
        return site, second.frame()

    @pytest.mark.parametrize(
        "leave",
        [
            pytest.param(lambda: gevent.spawn_later(0.1, gevent.Timeout.start_new(0.02).close), id="timeout"),
            pytest.param(lambda: gevent.kill(getcurrent()), id="kill"),
            pytest.param(lambda: gevent.spawn_later(0.02, getcurrent().switch), id="switch"),
            pytest.param(
                lambda: gevent.get_hub().loop.run_callback(getcurrent().throw, RuntimeError("late")),
                id="throw",
            ),
        ],
    )
    def test_what_would_wake_or_kill_the_greenlet_hits_nobody(
        self, serve: Serve, leave: Callable[[], object]
    ) -> None:
        assert self.two_connections(serve, leave, lambda: "fine")[1] == Frame(TEXT, b"fine")

    def test_a_link_does_not_wake_the_next_connection(self, serve: Serve) -> None:
        event = Event()
        gevent.spawn_later(0.02, event.set)
        frame = self.two_connections(serve, lambda: event.rawlink(getcurrent().switch), lambda: "fine")[1]
        assert frame == Frame(TEXT, b"fine")

    def test_a_gevent_local_stays_its_own(self, serve: Serve) -> None:
        user = local()
        frame = self.two_connections(
            serve, lambda: setattr(user, "name", "somebody"), lambda: getattr(user, "name", "nobody")
        )[1]
        assert frame == Frame(TEXT, b"nobody")

    def test_a_context_variable_stays_its_own(self, serve: Serve) -> None:
        user = contextvars.ContextVar("user", default="nobody")
        frame = self.two_connections(serve, lambda: user.set("somebody"), user.get)[1]
        assert frame == Frame(TEXT, b"nobody")


@pytest.mark.logs_errors
class TestNothingEscapesAWatcher:
    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    def test_what_ends_the_program_in_a_callback_ends_the_connection_with_1011_and_reaches_the_hub(
        self, serve: Serve, kind: type[BaseException]
    ) -> None:
        def fail(message: str, connection: WebSocketConnection) -> None:
            if message == "exit":
                raise kind
            connection.send(message)

        service = Recorder(received=fail)
        site = serve(service)
        client, bystander = site.connect(), site.connect()
        client.send(masked(TEXT, "exit"))
        with pytest.raises(kind):
            gevent.sleep(5)
        assert client.close_code() == (1011, "")
        client.close()
        for call in [("connected",), ("connected",), ("received", "exit"), ("disconnected", 1011)]:
            service.expect(*call)
        bystander.send(masked(TEXT, "still here"))
        assert bystander.frame() == Frame(TEXT, b"still here")

    @pytest.mark.parametrize("hook", ["handle", "output_left"])
    def test_a_mistake_of_ours_costs_its_own_connection_only(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, hook: str
    ) -> None:
        service = Echo()
        site = serve(service)
        client, bystander = site.connect(), site.connect()
        service.expect("connected")
        service.expect("connected")

        def fail(*args: Any) -> Any:
            raise AssertionError("broken")

        failing = type("Failing", (Lifecycle,), {hook: fail})
        service.connections[0]._lifecycle = failing(site.server)
        service.connections[0]._watches_output = True
        client.send(masked(TEXT, "x") + masked(0x9, "y"))
        client.read_to_end()
        service.expect("received", "x")
        service.expect("disconnected", 1006)
        for _ in range(2):
            bystander.send(masked(TEXT, "fine"))
            assert bystander.frame() == Frame(TEXT, b"fine")
        [record] = caplog.records
        assert record.getMessage() == "internal error; the connection is dropped"

    @pytest.mark.parametrize("end", [close_frame(1000), b"", b"garbage"])
    def test_a_log_handler_that_raises_harms_no_connection(
        self, serve: Serve, end: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Failing(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise RuntimeError("the disk is full")

        handler = Failing()
        names = "geventkws.access", "geventkws.server"
        for name in names:
            logging.getLogger(name).addHandler(handler)
        try:
            service = Echo()
            site = serve(service)
            client, bystander = site.connect(), site.connect()
            client.send(end)
            client.half_close()
            client.read_to_end()
            client.close()
            with gevent.Timeout(PATIENCE):
                while len(site.server.websockets) > 1:
                    gevent.sleep(0.005)
            bystander.send(masked(TEXT, "fine"))
            assert bystander.frame() == Frame(TEXT, b"fine")
            assert [call[0] for call in service.calls.queue][:3] == ["connected", "connected", "disconnected"]
        finally:
            for name in names:
                logging.getLogger(name).removeHandler(handler)
        bystander.send(close_frame(1000))
        assert bystander.close_code() == (1000, "")
        bystander.close()
        site.wait_until_empty()
        gevent.sleep(0.01)
        capsys.readouterr()  # the hub has reported it on standard error


@pytest.mark.logs_errors
class TestAKilledWorker:
    """Whatever is thrown into a waiting callback ends its connection with 1011, completely."""

    @pytest.mark.parametrize(
        "error",
        [gevent.GreenletExit(), gevent.Timeout(1), ValueError("x")],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("where", ["connected", "received", "disconnected"])
    def test_it_ends_and_so_does_the_connection(self, serve: Serve, where: str, error: BaseException) -> None:
        workers: list[greenlet] = []

        def wait(*args: object) -> None:
            workers.append(getcurrent())
            gevent.sleep(30)

        service = Recorder(**{where: wait})
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "x") + close_frame(1000))
        with gevent.Timeout(PATIENCE):
            while not workers:
                gevent.sleep(0.005)
        gevent.kill(workers[0], error)
        assert client.close_code()[0] == (1000 if where == "disconnected" else 1011)
        client.close()
        site.wait_until_empty()
        names = [call[0] for call in service.calls.queue]
        assert names == ["connected", *(["received"] if where != "connected" else []), "disconnected"]
        assert workers[0].dead

    def test_a_kill_that_finds_it_in_a_log_handler_ends_the_connection_all_the_same(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        workers: list[greenlet] = []

        class Slow(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if "failed" in record.getMessage():
                    workers.append(getcurrent())
                    gevent.sleep(30)

        handler = Slow()
        logger = logging.getLogger("geventkws.server")
        logger.addHandler(handler)
        try:
            service = Recorder(received=lambda message, connection: 1 / 0)
            site = serve(service)
            client = site.connect()
            client.send(masked(TEXT, "x"))
            assert client.frame() == Frame(CLOSE, b"\x03\xf3")
            with gevent.Timeout(PATIENCE):
                while not workers:
                    gevent.sleep(0.005)
            gevent.kill(workers[0])
            client.close()
            site.wait_until_empty()
        finally:
            logger.removeHandler(handler)
        assert [call[0] for call in service.calls.queue] == ["connected", "received", "disconnected"]


def test_an_upgrade_in_a_watcher_turn_does_not_keep_the_http_greenlet(serve: Serve) -> None:
    site = serve(Echo())
    before = greenlets()
    clients = [site.connect() for _ in range(20)]
    gevent.sleep(0.01)
    assert greenlets() <= before + 2
    for client in clients:
        client.send(masked(TEXT, "x"))
        assert client.frame() == Frame(TEXT, b"x")
    assert greenlets() <= before + 2
