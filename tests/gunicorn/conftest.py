"""The real gunicorn with our worker, an application and services in a directory of their own."""

from __future__ import annotations

import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.programs import Program
from tests.raw import RawClient
from tests.waiting import PATIENCE, wait_until

APP = """
import os
import socket
import time
from pathlib import Path

import gevent
from gevent import monkey

from geventkws import WebSocket, WebSocketService

LOADED_BY = os.getpid()
# What is imported here must already be patched by gevent.
assert socket.socket.__module__.startswith("gevent"), "not patched"


def wait_for(name):
    while not Path(name).exists():
        gevent.sleep(0.005)


def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/wait":
        print("waiting for", query, flush=True)
        wait_for(query)
    elif path == "/block":
        print("blocking", flush=True)
        while not Path(query).exists():
            monkey.get_original("time", "sleep")(0.005)
    elif path == "/interrupt":
        raise KeyboardInterrupt
    status = "500 Internal Server Error" if path == "/fail" else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    answer = {"/loaded": LOADED_BY, "/scheme": environ["wsgi.url_scheme"]}
    return [str(answer.get(path, os.getpid())).encode()]


class Echo(WebSocketService):
    def received(self, message, connection):
        connection.send(message)


class Waiting(WebSocketService):
    def received(self, message, connection):
        print("received", message, flush=True)
        wait_for(message)
        connection.send(message)


WebSocket.register(Echo(), "/echo")
WebSocket.register(Waiting(), "/wait")
"""


class Gunicorn(Program):
    """A running gunicorn, ready once it listens and its workers have booted."""

    def __init__(self, directory: Path, *arguments: str, workers: int = 1, **options: Any) -> None:
        self.directory = directory
        self.workers = workers
        # The script and not `-m`, which would put gunicorn's own modules first when it executes itself.
        script = str(Path(sys.executable).with_name("gunicorn"))
        command = (sys.executable, "-u", script, "--workers", str(workers), *arguments, "app:app")
        super().__init__(*command, cwd=directory, **options)
        self._clients = ExitStack()
        self.port = 0

    def learn_port(self) -> None:
        self.port = int(self.expect(r"Listening at: https?://127\.0\.0\.1:(\d+)")[1])

    def booted(self, number: int | None = None) -> list[int]:
        """Wait until so many more workers have booted; return their numbers."""
        return [int(self.expect(r"Booting worker with pid: (\d+)")[1]) for _ in range(number or self.workers)]

    def connect(
        self, path: str | None = None, *headers: str, context: ssl.SSLContext | None = None
    ) -> RawClient:
        """Return a client, which is closed after the test; ``path=None`` sends nothing yet."""
        plain: socket.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        if context is not None:
            plain = context.wrap_socket(plain, server_hostname="localhost")
        return self._clients.enter_context(RawClient(self.port, path, *headers, sock=plain))

    def get(self, target: str = "/", **options: Any) -> str:
        """Return what is answered."""
        client = self.connect(**options)
        client.send(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        answer = client.read_to_end().decode()
        assert answer.startswith("HTTP/1.1 "), answer
        return answer.rpartition("\r\n")[2]

    def let(self, name: str) -> None:
        """Let who waits for ``name`` go on."""
        (self.directory / name).touch()

    def children(self) -> set[int]:
        """Return the numbers of the workers that there are."""
        listing = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return set(map(int, listing.split()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clients.close()
        super().__exit__(kind, error, trace)


Start = Callable[..., Gunicorn]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start gunicorn on a free port, and wait until all workers serve; it is killed after the test."""
    (tmp_path / "app.py").write_text(APP)
    with ExitStack() as programs:

        def begin(
            *arguments: str,
            conf: str = "",
            worker: str = "geventkws.gunicorn.Worker",
            bind: str = "127.0.0.1:0",
            **options: Any,
        ) -> Gunicorn:
            (tmp_path / "gunicorn.conf.py").write_text(conf)
            if "worker_class" not in conf:
                arguments = ("-k", worker, *arguments)
            running = programs.enter_context(Gunicorn(tmp_path, *arguments, "--bind", bind, **options))
            if bind == "127.0.0.1:0":
                running.learn_port()
            return running

        yield begin


@pytest.fixture
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody else gets, for sockets with SO_REUSEPORT."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def ended(pid: int) -> None:
    """Wait until a process has ended."""
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return re.search(r"State:\s+Z", status) is not None
