"""An application and services in a directory of their own, and the command line that serves them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest
import requests
import websocket

from geventkws.cli.commands import run
from tests.programs import Program
from tests.waiting import PATIENCE

APP = """
from gevent import monkey
import socket

# What is imported here must already be patched by gevent.
assert socket.socket.__module__.startswith("gevent"), "not patched"


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"app\\n"]


def create_app(greeting, times=1):
    def greet(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [greeting.encode() * times]

    return greet
"""

CHAT = """
from geventkws import WebSocketService


class Shout(WebSocketService):
    def received_text(self, message, connection):
        connection.send(message.upper())


class Named(WebSocketService):
    def __init__(self, name):
        self.name = name

    def received_text(self, message, connection):
        connection.send(f"{self.name}: {message}")


named = Named("instance")


def begin():
    print("on_start was called", flush=True)


def end():
    print("on_stop was called", flush=True)


def fail():
    raise LookupError("no database")
"""


class Running(Program):
    """``geventkws serve``, ready once it listens."""

    def __init__(self, directory: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = (sys.executable, "-u", "-m", "geventkws", "serve", *arguments)
        super().__init__(*command, env=env, cwd=directory)
        self.ports: list[int] = []
        self._clients = ExitStack()

    @property
    def port(self) -> int:
        return self.ports[0]

    def learn_port(self) -> int:
        """Wait until it listens on a port, or on another one."""
        self.ports.append(int(self.expect(r"Listening on port (\d+)")[1]))
        return self.ports[-1]

    def get(self, path: str = "/", index: int = 0) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.ports[index]}{path}", timeout=PATIENCE)

    def connect(self, path: str, index: int = 0) -> websocket.WebSocket:
        """Return a client, which is closed after the test."""
        url = f"ws://127.0.0.1:{self.ports[index]}{path}"
        client = websocket.create_connection(url, timeout=PATIENCE)
        self._clients.callback(client.shutdown)
        return client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._clients.close()


Serve = Callable[..., Running]

Fail = Callable[..., tuple[int, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with ``app.py`` and ``chat.py``."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "chat.py").write_text(CHAT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def serve(project: Path) -> Iterator[Serve]:
    """Start ``geventkws serve`` on a free port, and wait until it listens; it is killed after the test."""
    with ExitStack() as programs:

        def start(*arguments: str, env: dict[str, str] | None = None) -> Running:
            running = programs.enter_context(Running(project, *arguments, "--bind", "127.0.0.1:0", env=env))
            running.learn_port()
            return running

        yield start


@pytest.fixture
def clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the logs, the modules and their path after the test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    loggers = [logging.getLogger(), logging.getLogger("geventkws.access")]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
            logger.removeHandler(handler)
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("app", "chat", "broken", "package"):
            del sys.modules[name]


@pytest.fixture
def fail(
    project: Path,
    clean_process: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Fail:
    """Run the command line, which must fail; return its status and what it wrote to stderr."""

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["geventkws", *arguments])
        status = run()
        return status, capsys.readouterr().err

    return call
