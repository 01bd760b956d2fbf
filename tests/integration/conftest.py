"""A server under test, and a service that records its callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.queue import Queue

from geventkws import ServiceRegistry, WebSocketConnection, WebSocketServer, WebSocketService
from tests.raw import RawClient, upgrade_request
from tests.waiting import PATIENCE

Call = tuple[Any, ...]


class Recorder(WebSocketService):
    """Records every callback in ``calls``, and then does what the test wants."""

    def __init__(self, **callbacks: Callable[..., object]) -> None:
        self.calls: Queue[Call] = Queue()
        self.connections: list[WebSocketConnection] = []
        self.callbacks = callbacks

    def _called(self, name: str, *args: Any) -> None:
        self.calls.put((name, *[arg for arg in args if not isinstance(arg, WebSocketConnection)]))
        if name in self.callbacks:
            self.callbacks[name](*args)

    def connected(self, connection: WebSocketConnection) -> None:
        self.connections.append(connection)
        self._called("connected", connection)

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self._called("received", message, connection)

    def disconnected(self, connection: WebSocketConnection, reason: int) -> None:
        self._called("disconnected", connection, reason)

    def expect(self, *call: Any) -> None:
        """Wait for the next callback, which must be ``call``."""
        assert self.calls.get(timeout=PATIENCE) == call

    def expect_nothing_more(self) -> None:
        """Let everything that is due happen, and check that it includes no callback."""
        gevent.sleep(0.02)
        assert self.calls.empty(), list(self.calls.queue)


class Echo(Recorder):
    """A recorder that sends back what it received."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        super().received(message, connection)
        connection.send(message)


class Site:
    """A running server with a registry of its own."""

    def __init__(self, server: WebSocketServer) -> None:
        self.server = server
        self.port = server.server_port or 0
        self.clients: list[RawClient] = []

    def connect(self, path: str | None = "/service", *headers: str, **options: Any) -> RawClient:
        """Return a client, which is closed after the test; ``path=None`` sends nothing yet."""
        self.clients.append(RawClient(self.port, path, *headers, **options))
        return self.clients[-1]

    def lose_client_meanwhile(self, asked: Event, go_on: Event) -> None:
        """Let a client be lost after its upgrade request, while the application waits to go on."""
        client = self.connect(None)
        client.send(upgrade_request("/"))
        assert asked.wait(PATIENCE)
        client.reset()
        gevent.sleep(0.01)
        go_on.set()

    def wait_until_empty(self) -> None:
        """Wait until no connection is left, and with it no descriptor, table entry or greenlet."""
        with gevent.Timeout(PATIENCE):
            while self.server.websockets or self.server.http_connections:
                gevent.sleep(0.005)


Serve = Callable[..., Site]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server for one service at /service (or several: ``paths``); it is stopped after the test."""
    sites: list[Site] = []

    def start(service: WebSocketService | None = None, **options: Any) -> Site:
        registry = ServiceRegistry()
        for path, other in options.pop("paths", {}).items():
            registry.register(other, path)
        if service is not None:
            registry.register(service, "service")
        server = WebSocketServer(("127.0.0.1", 0), options.pop("application", None), registry, **options)
        server.start()
        sites.append(Site(server))
        return sites[-1]

    yield start
    for site in sites:
        for client in site.clients:
            client.close()
        site.server.stop(timeout=1)
        assert not site.server.websockets


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail if an error is logged: only a service's own mistake is one, whatever a peer does."""
    yield
    if request.node.get_closest_marker("logs_errors") is None:
        records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
        errors = [record for record in records + caplog.records if record.levelname in ("ERROR", "CRITICAL")]
        assert not errors, [record.getMessage() for record in errors]
