"""Workers that are reloaded while they are used: what they have received is answered."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random
from subprocess import Popen
from tempfile import TemporaryDirectory
from time import monotonic
from typing import IO

import gevent
import websocket
from gevent.event import Event

from geventkws.http.connection import FIRST_REQUEST
from tests.helpers import free_port
from tests.soak.health import gauged
from tests.soak.link import HOST
from tests.soak.part import part
from tests.soak.punctuality import TICK
from tests.soak.reloaded import NOTES
from tests.soak.tally import Delay, Tally
from tests.waiting import LONG, PATIENCE, wait_until

VISITORS = 2
"""Clients that ask for a page at a time, each over a connection of its own."""
TALKERS = 4
"""Clients that send messages over a WebSocket until it is closed."""
BURST = 5
"""The most messages that are sent before the answers are read."""
PAUSE = 0.2
"""The most seconds between two pages or bursts."""
LIVES = (4.0, 8.0)
"""Seconds between two reloads."""
LATE = FIRST_REQUEST - TICK
"""Seconds for which a client must have been late, if the end of its connection is to be excused."""
GOING_AWAY = 1001
STOPPING = 503
"""The answer to a handshake that reaches a worker which is stopping."""
SERVE = ("geventkws", "serve", "tests.soak.reloaded:app", "--service", "/noted=tests.soak.reloaded:Noted")
OPTIONS = ("--workers", "2", "--access-log", "off", "--log-level", "warning")


class Workers:
    """Clients of the workers at ``port``, which ``main`` reloads."""

    def __init__(self, main: Popen[bytes], port: int, seed: int, tally: Tally) -> None:
        self.reloads = 0
        self._main = main
        self._port = port
        self._seed = seed
        self._tally = tally
        self._answered: set[str] = set()
        self._processes: set[str] = set()
        """The workers that have answered."""
        self._over = Event()

    def run(self, until: float) -> None:
        """Use and reload the workers until this time of ``monotonic``."""
        self._visit("/first")  # from then on, there is somebody who minds the signal
        clients: list[gevent.Greenlet[..., None]] = [
            *(gevent.spawn(self._keep_visiting, number) for number in range(VISITORS)),
            *(gevent.spawn(self._keep_talking, number) for number in range(TALKERS)),
        ]
        random = Random(f"{self._seed} workers")
        while (life := random.uniform(*LIVES)) < until - monotonic() or not self.reloads:
            gevent.sleep(life)
            self._reload()
        gevent.sleep(max(0.0, until - monotonic()))
        self._over.set()
        gevent.joinall(clients, timeout=LONG, raise_error=True)
        self._tally.complaints += ["a client never ended" for client in clients if not client.ready()]
        gevent.killall(clients)

    def _reload(self) -> None:
        before = set(self._processes)
        self._main.send_signal(signal.SIGHUP)
        self.reloads += 1
        end = monotonic() + LONG
        while self._processes == before:
            if monotonic() > end:
                self._tally.complaints.append("no new worker answers after a reload")
                return
            gevent.sleep(PAUSE)

    def check(self, noted: list[str]) -> None:
        """Count which of the messages that workers have noted were not answered, or noted twice."""
        self._tally.lost += len(set(noted) - self._answered)
        self._tally.doubled += len(noted) - len(set(noted))

    def _visit(self, page: str) -> None:
        with closing(HTTPConnection(HOST, self._port, timeout=PATIENCE)) as connection:
            connection.request("GET", page, headers={"Connection": "close"})
            answer = connection.getresponse()
            path, _, process = answer.read().decode().partition(" ")
            if (answer.status, path) != (200, page):
                self._tally.complaints.append(f"{page} was answered with {answer.status}, {path:.60}")
            self._processes.add(process)
        self._tally.messages += 1

    def _keep_visiting(self, visitor: int) -> None:
        random = Random(f"{self._seed} visitor {visitor}")
        number = 0
        while not self._over.is_set():
            began = monotonic()
            try:
                self._visit(f"/{visitor}/{number}")
            except (OSError, HTTPException) as error:
                self._note(f"page {number} of visitor {visitor}: {error!r}", began)
            number += 1
            gevent.sleep(random.uniform(0, PAUSE))
        self._tally.lives += number

    def _keep_talking(self, talker: int) -> None:
        random = Random(f"{self._seed} talker {talker}")
        lives = 0
        while not self._over.is_set():
            lives += 1
            self._talk(f"talker {talker}, life {lives}", random)
            gevent.sleep(random.uniform(0, PAUSE))
        self._tally.lives += lives

    def _talk(self, name: str, random: Random) -> None:
        """Send numbered messages, and read what comes back, until the connection is closed."""
        number, began = 0, monotonic()
        url = f"ws://{HOST}:{self._port}/noted"
        try:
            with closing(websocket.create_connection(url, timeout=PATIENCE)) as connection:
                while not self._over.is_set():
                    messages = [f"{name} {number + more}" for more in range(random.randint(1, BURST))]
                    number += len(messages)
                    if not self._are_answered(connection, messages):
                        return
                    began = monotonic()
                    gevent.sleep(random.uniform(0, PAUSE))
        except (OSError, websocket.WebSocketException) as error:
            if getattr(error, "status_code", None) != STOPPING:
                self._note(f"{name}: {error!r}", began)

    def _note(self, what: str, began: float) -> None:
        """Note how a connection ended. A worker that is stopping waits only so long for a late client."""
        ended = monotonic()
        self._tally.delays.append(Delay(f"{what} after {ended - began:.2f} s", began, ended, LATE))

    def _are_answered(self, connection: websocket.WebSocket, messages: list[str]) -> bool:
        """Send messages; return whether they come back, and not the end of the connection."""
        for message in messages:
            connection.send(message)
        return all(self._is_answered(connection, message) for message in messages)

    def _is_answered(self, connection: websocket.WebSocket, message: str) -> bool:
        """Return whether a message comes back, and not the end of the connection."""
        opcode, data = connection.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            if (code := int.from_bytes(data[:2], "big")) != GOING_AWAY:
                self._tally.complaints.append(f"closed with {code}")
            return False
        self._tally.messages += 1
        self._tally.disorder += data.decode() != message
        self._answered.add(data.decode())
        return True


def soak_workers(
    seed: int, tally: Tally, environment: Mapping[str, str], log: IO[bytes], until: float
) -> str:
    """Use workers that are reloaded until this time of ``monotonic``; return a line about it."""
    port = free_port()
    with TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        command = (*SERVE, *OPTIONS, "--bind", f"{HOST}:{port}")
        with part(*command, environment={**environment, NOTES: str(notes)}, log=log) as main:
            wait_until(lambda: listens(port), LONG)
            workers = Workers(main.process, port, seed, tally)
            with gauged({"workers' parent": main.process.pid}, tally.complaints):
                workers.run(until)
        noted = notes.read_text().splitlines()
    workers.check(noted)
    return f"workers: {len(noted)} messages received while they were reloaded {workers.reloads} times"


def listens(port: int) -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
