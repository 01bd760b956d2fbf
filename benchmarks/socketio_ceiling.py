"""Measures what a server cannot change of Flask-SocketIO's events: ``python -m benchmarks.socketio_ceiling``.

The application of ``peers.socketio_echo`` gets WebSockets that cost next to nothing: there is no client, and
no byte is sent. What is left is the time of python-engineio, python-socketio, Flask-SocketIO and Flask.
"""

from __future__ import annotations

from gevent import monkey

if __name__ == "__main__":
    monkey.patch_all()

import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from statistics import median
from typing import Any

import gevent
from gevent.event import Event
from werkzeug.test import EnvironBuilder

from benchmarks.peers.socketio_echo import app, socketio

CONNECTIONS = 100
EVENTS = 100
"""On each connection, one under way at a time."""
REPEAT = 5
TEXT = "x" * 64


class InstantWebSocket:
    """What engineio uses as a WebSocket: the next event is there when the one before has been answered."""

    def __init__(self, events: int, handle: Callable[[Any], Iterable[bytes]], server: object) -> None:
        self._handle = handle
        self._answered = Event()
        calls = (f'42{number}["call","{TEXT}"]' for number in range(events))
        self._packets = chain(["40"], calls)

    def __call__(self, environ: dict[str, Any], start_response: object) -> Iterable[bytes]:
        """Serve the connection."""
        return self._handle(self)

    def wait(self) -> str | None:
        """Return the next packet, or ``None`` at the end."""
        self._answered.wait()
        self._answered.clear()
        return next(self._packets, None)

    def send(self, packet: str) -> None:
        """Take a packet: the one that opens the session, or an answer."""
        self._answered.set()

    def close(self) -> None:
        """Do nothing: the application closes only what has ended."""


def serve_all(events: int) -> float:
    """Return the CPU seconds of ``CONNECTIONS`` connections with so many events each."""
    engine = socketio.server.eio
    engine._async = {**engine._async, "websocket": partial(InstantWebSocket, events)}
    started = time.process_time()
    gevent.joinall([gevent.spawn(connect) for _ in range(CONNECTIONS)], raise_error=True)
    return time.process_time() - started


def start_response(*answer: Any) -> Callable[[bytes], object]:
    """Take the status and the header of an answer."""
    return len


def connect() -> None:
    """Let the application answer one upgrade request."""
    headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    request = EnvironBuilder(path="/socket.io/", query_string="EIO=4&transport=websocket", headers=headers)
    app.wsgi_app(request.get_environ(), start_response)


def microseconds_per_event() -> float:
    """Return the CPU time of an event and its answer, without that of the connections."""
    return (serve_all(EVENTS) - serve_all(0)) / (CONNECTIONS * EVENTS) * 1e6


def main() -> None:
    """Print the middle of several runs."""
    microseconds_per_event()  # so that everything has been imported and cached
    print(f"{median(microseconds_per_event() for _ in range(REPEAT)):.0f} µs")


if __name__ == "__main__":
    main()
