"""The services and the application whose connections live and end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

import gevent

from geventkws import ServiceRegistry, WebSocketConnection, WebSocketServer, WebSocketService

Environ = dict[str, Any]

ENOUGH = 1000
"""The largest message in bytes."""
IMPATIENCE = 0.2
"""The ``connection_timeout`` of a service whose clients say nothing, in seconds."""


class Mourned(WebSocketService):
    """Counts who has come and gone."""

    max_message_size = ENOUGH
    present: ClassVar[int] = 0

    def __init__(self, act: Callable[[str | bytes, WebSocketConnection], object]) -> None:
        self._act = act

    def connected(self, connection: WebSocketConnection) -> None:
        Mourned.present += 1

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self._act(message, connection)

    def disconnected(self, connection: WebSocketConnection, reason: int) -> None:
        Mourned.present -= 1


class Impatient(Mourned):
    connection_timeout = IMPATIENCE


class Deflated(Mourned):
    compression = True


class Pulls(WebSocketService):
    """Takes one message, and returns."""

    def run(self, connection: WebSocketConnection) -> None:
        connection.receive()


def echo(message: str | bytes, connection: WebSocketConnection) -> None:
    connection.send(message)


def close(message: str | bytes, connection: WebSocketConnection) -> None:
    connection.close(4000, "enough")


def drop(message: str | bytes, connection: WebSocketConnection) -> None:
    connection.drop(4000, "enough")


def fail(message: str | bytes, connection: WebSocketConnection) -> None:
    raise RuntimeError("a mistake")


def kill(message: str | bytes, connection: WebSocketConnection) -> None:
    gevent.kill(gevent.getcurrent())
    gevent.sleep(0)


def wait(message: str | bytes, connection: WebSocketConnection) -> None:
    connection.send("waiting")
    with suppress(gevent.Timeout), gevent.Timeout(0.05):
        gevent.sleep(10)


def stream() -> Iterator[bytes]:
    for _ in range(10_000):
        yield b"x" * 1000
        gevent.sleep(0)


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer ``/``, stream, read, fail, or take a WebSocket."""
    path = environ["PATH_INFO"]
    if path == "/application":
        websocket = environ["wsgi.websocket"]
        websocket.receive()
        websocket.close()
        return []
    if path == "/fail":
        raise RuntimeError("a mistake")
    if path == "/read":
        environ["wsgi.input"].read()
    start_response("404 Not Found" if path == "/nowhere" else "200 OK", [("Content-Type", "text/plain")])
    return stream() if path == "/stream" else [b"hello"]


def serve(**options: Any) -> WebSocketServer:
    """Return a server that has started."""
    registry = ServiceRegistry()
    for path, act in {
        "/echo": echo,
        "/close": close,
        "/drop": drop,
        "/fail": fail,
        "/kill": kill,
        "/wait": wait,
    }.items():
        registry.register(Mourned(act), path)
    registry.register(Impatient(echo), "/impatient")
    registry.register(Deflated(echo), "/deflated")
    registry.register(Pulls(), "/pull")
    address = ("127.0.0.1", 0)
    server = WebSocketServer(address, application, registry, close_timeout=0.2, backlog=1024, **options)
    server.start()
    return server
