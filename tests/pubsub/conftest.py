"""Channels and their subscribers, once for each broker."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from gevent.monkey import get_original
from redis.exceptions import RedisError

from geventkws import WebSocketService
from geventkws.pubsub import PubSub
from geventkws.pubsub.redis.link import address_of
from geventkws.testing import ServiceClient, connect
from tests.helpers import require_program
from tests.waiting import LONG, PATIENCE, wait_until

start_new_thread: Callable[..., int] = get_original("_thread", "start_new_thread")


def in_native_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a native thread, while the hub runs, and return what it returns."""
    results: list[Any] = []
    start_new_thread(lambda: results.append(function()), ())
    wait_until(lambda: results)
    return results[0]


class RedisServer:
    """A server on a Unix-domain socket, by default on no port, which may be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options or ("--port", "0")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder}/socket"

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [require_program("redis-server"), "--unixsocket", f"{self._folder}/socket"]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._folder), "--save", "", *self._options],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, LONG)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except RedisError:
            return False

    def ask(self, *words: str | int) -> Any:
        """Run a command."""
        connection = address_of(self.url).connection(PATIENCE)
        try:
            connection.connect()
            connection.send_command(*words)
            return connection.read_response()
        finally:
            connection.disconnect()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; if it is SIGKILL, wait for the end."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(PATIENCE)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis server for one test."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()


class Quiet(WebSocketService):
    """A service that says nothing by itself."""

    def received(self, message: str | bytes, connection: object) -> None:
        pass


Connect = Callable[..., ServiceClient]


def configured(pubsub: PubSub) -> PubSub:
    """Let channels below ``kept:`` have a history, and people see each other in those below ``seen:``."""
    pubsub.configure("kept:*", history_size=5)
    pubsub.configure("seen:*", presence=True)
    return pubsub


@pytest.fixture(params=["memory", "redis"])
def pubsub(request: pytest.FixtureRequest) -> Iterator[PubSub]:
    """Channels that nobody has used."""
    if request.param == "memory":
        yield configured(PubSub())
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    with closing(PubSub(server.url, prefix=uuid.uuid4().hex)) as pubsub:
        yield configured(pubsub)


@pytest.fixture
def client() -> Iterator[Connect]:
    """A function that connects clients, whose side in the server is their ``connection``."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(connect(Quiet(), timeout=PATIENCE, **options))
