"""Clients of others through faults: they get every publication once and in order, or are told otherwise."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.server import StreamServer

from geventkws.pubsub import BrokerUnavailable, PubSub
from tests.helpers import require_program
from tests.programs import ROOT
from tests.pubsub.conftest import RedisServer, own_redis
from tests.waiting import PATIENCE

__all__ = ["own_redis"]

pytestmark = pytest.mark.once

MODULES = ROOT / "tests" / "clients" / "node_modules"
HERE = Path(__file__).parent
RATE = 1000


class Balancer:
    """Passes connections on to one of several workers, and may cut them off."""

    def __init__(self) -> None:
        self.port = 0
        self._sockets: set[Any] = set()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"ws://127.0.0.1:{self._server.server_port}/connection/websocket"

    def _serve(self, client: Any, address: object) -> None:
        with suppress(OSError):
            server = socket.create_connection(("127.0.0.1", self.port))
            self._sockets |= {client, server}
            back = gevent.spawn(self._pass_on, server, client)
            self._pass_on(client, server)
            back.join()
            self._sockets -= {client, server}
            server.close()

    def _pass_on(self, source: Any, target: Any) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End all connections."""
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.stop()
        self.cut()


class Worker:
    """A process that serves clients."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.centrifuge.recovery_worker", url],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[1])

    def end(self) -> None:
        """Let it end in good order, which tells its clients to come back."""
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Witness:
    """A client, and what it says."""

    def __init__(self, command: list[str], path: Path) -> None:
        self._path = path
        with path.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)

    def lines(self) -> list[list[int | str]]:
        text = self._path.read_text().rpartition("\n")[0]
        return [[kind, *map(int, rest)] for kind, *rest in map(str.split, text.splitlines())]

    def last(self) -> int:
        """Return the number of the last publication."""
        return max((int(line[1]) for line in self.lines() if line[0] == "p"), default=0)

    def close(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(PATIENCE)

    def check(self) -> tuple[int, int]:
        """Return how often it has subscribed, and been told of a loss; check that nothing else is missing."""
        expected, returns, told = None, 0, 0
        for kind, first, second in self.lines():
            if kind == "s":
                returns += 1
                if first and not second:
                    told += 1
                    expected = None
            else:
                assert expected is None or first == expected, f"{first} has come instead of {expected}"
                expected = int(first) + 1
        return returns, told


class Publisher:
    """Publishes numbers, one after the other."""

    def __init__(self, url: str) -> None:
        self._pubsub = PubSub(url)
        self._pubsub.configure("*", history_size=20_000)
        self.number = 0
        self._greenlet = gevent.spawn(self._run)
        self._stopping = False

    def _run(self) -> None:
        began = monotonic()
        while not self._stopping:
            self.number += 1
            self._publish(str(self.number))
            gevent.sleep(max(0.0, began + self.number / RATE - monotonic()))

    def _publish(self, message: str) -> None:
        while True:  # with a key, so that a repetition is none if the first attempt has succeeded
            with suppress(BrokerUnavailable):
                self._pubsub.publish("log", message, key=message)
                return

    def stop(self) -> int:
        self._stopping = True
        self._greenlet.join()
        self._pubsub.close()
        return self.number


def commands(url: str) -> dict[str, list[str]]:
    python = [sys.executable, str(HERE / "recovery_client.py"), url, "log"]
    node = [require_program("node"), str(HERE / "recovery_client.js"), str(MODULES), url, "log"]
    return {"python-json": python, "python-protobuf": [*python, "protobuf"], "javascript": node}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.timeout(400)
def test_clients_get_everything_once_and_in_order_or_are_told(
    own_redis: RedisServer, stack: ExitStack, tmp_path: Path
) -> None:
    first, second, third = (Worker(own_redis.url) for _ in range(3))
    for worker in (first, second, third):
        stack.callback(worker.kill)
    balancer = Balancer()
    stack.callback(balancer.close)
    balancer.port = first.port
    witnesses = {}
    for name, command in commands(balancer.url).items():
        witnesses[name] = Witness(command, tmp_path / name)
        stack.callback(witnesses[name].close)
    publisher = Publisher(own_redis.url)

    def wait_for_all(more: int = 200) -> None:
        """Wait until all clients have what is published now, and so much more."""
        number = publisher.number + more
        end = monotonic() + 6 * PATIENCE
        while any(one.last() < number for one in witnesses.values()):
            assert monotonic() < end, {name: one.last() for name, one in witnesses.items()}
            gevent.sleep(0.05)

    wait_for_all()
    for port in (first.port, second.port, first.port):  # the same worker, another one
        balancer.port = port
        balancer.cut()
        wait_for_all()
    balancer.port = second.port
    first.end()
    wait_for_all()
    balancer.port = third.port
    second.kill()
    wait_for_all()
    assert {name: one.check()[1] for name, one in witnesses.items()} == dict.fromkeys(witnesses, 0)
    own_redis.kill()
    own_redis.start()
    wait_for_all()
    publisher.stop()
    wait_for_all(more=0)
    for name, witness in witnesses.items():
        returns, told = witness.check()
        assert returns >= 7, name
        assert told == 1, name
