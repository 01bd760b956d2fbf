"""The server under attack, as a program of its own: ``python tests/hostile/server.py --help``.

It uses only the public names of the package, so that any version can be attacked.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import argparse
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

import gevent

import geventkws
from geventkws import ServiceRegistry, WebSocketConnection, WebSocketServer, WebSocketService

Environ = dict[str, Any]


class Echo(WebSocketService):
    """The innocents' service."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        connection.send(message)


class Sink(WebSocketService):
    """Accepts everything, and does nothing."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        pass


class DeflatedSink(Sink):
    """The same for compressed messages."""

    compression = True


def hello(environ: Environ) -> Iterable[bytes]:
    return [b"hello"]


def burn(seconds: float) -> None:
    """Use ``seconds`` of CPU time without a pause in which others could run."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def burning(environ: Environ) -> Iterable[bytes]:
    burn(0.001)
    return [b"burnt"]


def unfair(environ: Environ) -> Iterable[bytes]:
    burn(2)
    return [b"at last"]


def reading(environ: Environ) -> Iterable[bytes]:
    return [str(len(environ["wsgi.input"].read())).encode()]


def reading_blocks(environ: Environ) -> Iterable[bytes]:
    body = environ["wsgi.input"]
    while body.read(8192):
        pass
    return [b"read"]


def blocks(environ: Environ) -> Iterable[bytes]:
    block = b"X" * 100
    return (block for _ in range(300_000))


PAGES: dict[str, Callable[[Environ], Iterable[bytes]]] = {
    "/": hello,
    "/burn": burning,
    "/unfair": unfair,
    "/unread": hello,
    "/read": reading,
    "/read-blocks": reading_blocks,
    "/blocks": blocks,
}


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer requests for every page; the response has a length if its body is a list of one block."""
    body = PAGES[environ["PATH_INFO"]](environ)
    headers = [("Content-Type", "text/plain")]
    if isinstance(body, list):
        headers.append(("Content-Length", str(len(body[0]))))
    start_response("200 OK", headers)
    return body


def services() -> ServiceRegistry:
    registry = ServiceRegistry()
    registry.register(Echo(), "/echo")
    registry.register(Sink(), "/sink")
    registry.register(DeflatedSink(), "/deflated-sink")
    return registry


def end_with_input() -> None:
    """End when the input does, so that a killed test leaves no server behind. In a native thread."""
    while os.read(0, 1024):
        pass
    os._exit(1)


def main() -> None:
    """Serve until SIGTERM; the first line of output says, in JSON, what is served where."""
    parser = argparse.ArgumentParser(
        description="Serve whatever the floods ask for, until SIGTERM or the end of input."
    )
    parser.add_argument("--certfile", help="a certificate in PEM: then it is https and wss")
    parser.add_argument("--keyfile", help="the certificate's key")
    parser.add_argument("--stop-timeout", type=float, default=1.0, help="seconds that stop() is given")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    server = WebSocketServer(
        ("127.0.0.1", 0),
        application,
        services(),
        certfile=options.certfile,
        keyfile=options.keyfile,
        backlog=1024,
        max_requests=None,  # no limit ends a flood early
    )
    monkey.get_original("_thread", "start_new_thread")(end_with_input, ())
    gevent.signal_handler(signal.SIGTERM, server.stop, options.stop_timeout)
    server.start()
    about = {
        "port": server.server_port,
        "process": os.getpid(),
        "package": os.path.dirname(geventkws.__file__),
        "backend": geventkws.BACKEND,
        "loop": type(gevent.get_hub().loop).__module__,
    }
    print(json.dumps(about), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
