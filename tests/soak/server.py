"""The server of the soak, as a program of its own: good services beside callbacks that misbehave."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import gc
import hashlib
import json
import logging
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import gevent.event
import greenlet

import geventkws
from geventkws import (
    ServiceRegistry,
    WebSocketCloseReasonCode,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
    broadcast,
)
from tests.hostile.server import burn, end_with_input
from tests.soak.health import usage

Environ = dict[str, Any]
NEWS_PAUSE = 0.05
"""Seconds between two publications."""
EVENTS = 20
"""Events of a stream of server-sent events, one each ``NEWS_PAUSE``."""


class Mischief(Exception):
    """What a misbehaving callback raises: the only error that the log may contain, besides its timeouts."""


class Counted(WebSocketService):
    """Counts that ``disconnected`` is called once for each ``connected``, over all services."""

    present: set[WebSocketConnection] = set()  # noqa: RUF012
    opened = 0
    unmatched = 0
    """Calls of ``disconnected`` for a connection that is not present."""

    def connected(self, connection: WebSocketConnection) -> None:
        Counted.opened += 1
        Counted.present.add(connection)

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        Counted.unmatched += connection not in Counted.present
        Counted.present.discard(connection)


class Echo(Counted):
    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        connection.send(message)


class DeflatedEcho(Echo):
    compression = True


class News(Counted):
    """Publishes the numbers from 0 to all who are connected."""

    def __init__(self) -> None:
        self._readers: set[WebSocketConnection] = set()

    def connected(self, connection: WebSocketConnection) -> None:
        super().connected(connection)
        self._readers.add(connection)

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        super().disconnected(connection, reason)
        self._readers.discard(connection)

    def publish(self) -> None:
        number = 0
        while True:
            broadcast(self._readers, str(number))
            number += 1
            gevent.sleep(NEWS_PAUSE)


def fail() -> None:
    raise Mischief


def time_out() -> None:
    with gevent.Timeout(0.01):
        gevent.sleep(10)


def fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


MISCHIEF: dict[str, Callable[[], object]] = {
    "raise": fail,
    "time out": time_out,
    "kill": lambda: gevent.kill(gevent.getcurrent()),
    "fork": fork,
    "burn": lambda: burn(0.02),
    "block": lambda: gevent.sleep(0.5),
}


class Misbehaving(Counted):
    """Does the mischief that a message names."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        MISCHIEF[str(message)]()
        connection.send("done")


def events() -> Iterator[bytes]:
    for number in range(EVENTS):
        yield b"data: %d\n\n" % number
        gevent.sleep(NEWS_PAUSE)


def figures() -> dict[str, float]:
    """Return what must stay flat, by name, and the counts of connections."""
    objects = gc.get_objects()
    return {
        **usage(os.getpid()),
        "greenlets": sum(isinstance(each, greenlet.greenlet) for each in objects),
        "watchers": gevent.get_hub().loop.activecnt,
        "objects": len(objects),
        "opened": Counted.opened,
        "present": len(Counted.present),
        "unmatched": Counted.unmatched,
    }


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the rest of the path, the digest of an upload, a stream of events, or ``figures``."""
    page, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
    if page == "events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    if page == "mischief":
        MISCHIEF[rest]()
    body = {
        "upload": lambda: hashlib.sha256(environ["wsgi.input"].read()).hexdigest(),
        "figures": lambda: json.dumps(figures()),
    }.get(page, lambda: rest)()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]


def servers(certfile: str, keyfile: str) -> Iterator[WebSocketServer]:
    """Yield the plain server and the one with TLS, which have the same services, started."""
    registry = ServiceRegistry()
    news = News()
    for path, service in {
        "/echo": Echo(),
        "/deflated": DeflatedEcho(),
        "/news": news,
        "/mischief": Misbehaving(),
    }.items():
        registry.register(service, path)
    gevent.spawn(news.publish)
    for files in ((None, None), (certfile, keyfile)):
        server = WebSocketServer(
            ("127.0.0.1", 0), application, registry, backlog=1024, certfile=files[0], keyfile=files[1]
        )
        server.start()
        yield server


def serve(about: dict[str, Any], *servers: WebSocketServer) -> None:
    """Let started servers serve until SIGTERM or the end of input; say in a line of JSON what they are."""
    monkey.get_original("_thread", "start_new_thread")(end_with_input, ())
    stopped = gevent.event.Event()
    gevent.signal_handler(signal.SIGTERM, stopped.set)
    print(json.dumps(about), flush=True)
    stopped.wait()
    for server in servers:
        server.stop(1.0)


def main() -> None:
    """Serve until SIGTERM, with new certificates at SIGHUP; the first line of output says, in JSON, where.

    Nothing collects garbage: what a connection leaves behind in a cycle adds up, and shows in the figures.
    The channel servers do collect it, because redis-py leaves them a parser for each connection.
    """
    gc.disable()
    parser = argparse.ArgumentParser(description="Serve the soak, until SIGTERM or the end of input.")
    parser.add_argument("certfile", help="a certificate in PEM")
    parser.add_argument("keyfile", help="the certificate's key")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    plain, encrypted = servers(options.certfile, options.keyfile)
    gevent.signal_handler(signal.SIGHUP, encrypted.reload_certificates)
    ports = {"plain": plain.server_port, "tls": encrypted.server_port, "backend": geventkws.BACKEND}
    serve({**ports, "loop": type(gevent.get_hub().loop).__module__}, encrypted, plain)


if __name__ == "__main__":
    main()
