"""Use databases and blocking libraries, and work in the background."""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.request
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import gevent
import requests
from gevent.event import Event

from geventkws import (
    WebSocket,
    WebSocketCloseReasonCode,
    WebSocketConnection,
    WebSocketService,
    broadcast,
)
from tests.docs.contexts.context import Context, close_code, connect, serving
from tests.waiting import PATIENCE


class Scores(Context):
    """A database that is locked for a while; meanwhile somebody else is served."""

    def names(self) -> dict[str, Any]:
        with closing(sqlite3.connect("scores.db")) as database:
            database.execute("CREATE TABLE scores (player TEXT, score INTEGER)")
            rows = [("Ann", 7), ("Ann", 9), ("Ben", 3), ("Ann", 1), ("Ann", 8)]
            database.executemany("INSERT INTO scores VALUES (?, ?)", rows)
            database.commit()
        return {}

    def check(self, block: SimpleNamespace) -> None:
        with serving(block.Scores()) as address, closing(sqlite3.connect("scores.db")) as lock:
            client = connect(address, "/")
            lock.execute("BEGIN EXCLUSIVE")
            client.send("Ann")
            connect(address, "/").close(timeout=PATIENCE)  # served while the other waits
            lock.rollback()
            assert json.loads(client.recv()) == [9, 8, 7]
            client.close(timeout=PATIENCE)


class Clock(Context):
    """A program that tells everybody the time."""

    def visit(self, address: str) -> None:
        clients = [connect(address, "/clock") for _ in range(2)]
        for client in clients:
            hours, minutes, seconds = str(client.recv()).split(":")
            assert int(hours) < 24
            assert int(minutes) < 60
            assert int(seconds) <= 60
            client.close(timeout=PATIENCE)


class TickWhileServing(Clock):
    """The same, from the start of the server to its end."""

    def names(self) -> dict[str, Any]:
        self.clock = Ticking()
        WebSocket.register(self.clock, on_path="/clock")
        return {"clock": self.clock, "broadcast": broadcast}

    def check(self, block: SimpleNamespace) -> None:
        assert len(block.tasks) == 0


class Ticking(WebSocketService):
    """Tells everybody the time."""

    def __init__(self) -> None:
        self.connections: set[WebSocketConnection] = set()

    def connected(self, connection: WebSocketConnection) -> None:
        self.connections.add(connection)

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        self.connections.remove(connection)

    def tick(self) -> None:
        while True:
            broadcast(self.connections, time.strftime("%H:%M:%S"))
            gevent.sleep(0.1)


class Report(Context):
    """A task for each connection."""

    def names(self) -> dict[str, Any]:
        self.goes_on, self.cancelled = Event(), Event()
        return {"pages": ["front", "back"], "render": self.render}

    def render(self, page: str) -> None:
        """Wait until the page may be rendered."""
        try:
            self.goes_on.wait()
        except gevent.GreenletExit:
            self.cancelled.set()
            raise

    def check(self, block: SimpleNamespace) -> None:
        with serving(block.Report()) as address:
            connect(address, "/").close(timeout=PATIENCE)
            assert self.cancelled.wait(PATIENCE)
            self.goes_on.set()
            client = connect(address, "/")
            assert [client.recv(), client.recv()] == ["1 of 2", "2 of 2"]
            assert close_code(client) == 1000


class ServerSentEvents(Context):
    """A view that streams news."""

    def check(self, block: SimpleNamespace) -> None:
        with serving(application=block.app) as address:
            with requests.get(f"http://{address}/events", stream=True, timeout=PATIENCE) as response:
                lines = response.iter_lines(decode_unicode=True)
                assert response.headers["Content-Type"].startswith("text/event-stream")
                assert next(lines) == ": welcome"
                for text in ("one", "two\nlines"):
                    self.publish(address, text)
                    assert next(line for line in lines if line) == f"data: {json.dumps(text)}"
            with gevent.Timeout(PATIENCE):
                while block.readers:
                    self.publish(address, "Is anybody there?")

    def publish(self, address: str, text: str) -> None:
        """Post a piece of news."""
        news = urllib.request.Request(f"http://{address}/news", text.encode(), {"Content-Type": "text/plain"})
        urllib.request.urlopen(news, timeout=PATIENCE).close()
