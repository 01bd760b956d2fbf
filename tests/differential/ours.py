"""Our server, which remembers what it has read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from geventkws import ServiceRegistry, WebSocketConnection, WebSocketServer, WebSocketService
from tests.certificates import HOST
from tests.differential.apps import SUBPROTOCOLS, wsgi

LONG = 10.0
"""Seconds that we wait: longer than any proxy, so that it is seen to wait for us."""


class Read(NamedTuple):
    """A request that we have read: its ``X-Passed-On``, and its body as far as it came."""

    passed_on: str
    body: bytes
    finished: bool = True
    connection: str = ""
    """The port of the proxy."""


@dataclass
class Ours:
    """A running server, and what it has read."""

    port: int
    requests: list[Read] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    """What a proxy has put into the handshakes that were accepted."""


class Chat(WebSocketService):
    """Accepts handshakes, and remembers them."""

    subprotocols = SUBPROTOCOLS
    compression = True

    def __init__(self, opened: list[str]) -> None:
        self._opened = opened

    def connected(self, connection: WebSocketConnection) -> None:
        self._opened.append(connection.request.headers.get("X-Passed-On", ""))


class Given:
    """A body that is remembered even if it never ends."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.body = bytearray()
        self.finished = False

    def read(self) -> bytes:
        while piece := self._stream.read(1):
            self.body += piece
        self.finished = True
        return bytes(self.body)


@contextmanager
def ours(**options: Any) -> Iterator[Ours]:
    """Run the server, with whatever backend and event loop is chosen."""
    running = Ours(0)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        given = Given(environ["wsgi.input"])
        try:
            return wsgi({**environ, "wsgi.input": given}, start_response)
        finally:
            passed_on = environ.get("HTTP_X_PASSED_ON", "")
            read = Read(passed_on, bytes(given.body), given.finished, environ["REMOTE_PORT"])
            running.requests.append(read)

    services = ServiceRegistry()
    services.register(Chat(running.opened), "chat")
    times: dict[str, Any] = {"head_timeout": LONG, "body_timeout": LONG, "close_timeout": 0.2}
    server = WebSocketServer((HOST, 0), application, services, **times, **options)
    server.start()
    running.port = server.server_port or 0
    try:
        yield running
    finally:
        server.stop(timeout=1)
