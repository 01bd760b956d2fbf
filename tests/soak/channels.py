"""A channel of two servers, whose Redis is killed: all subscribers get everything once, or are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from http.client import HTTPConnection, HTTPException
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import IO, Any
from urllib.parse import urlencode

import gevent
import websocket
from gevent.event import Event

from tests.pubsub.conftest import RedisServer
from tests.soak.book import Book, Entry, Place, Reading
from tests.soak.crowd import EXCUSE
from tests.soak.health import gauged
from tests.soak.link import HOST
from tests.soak.part import part
from tests.soak.tally import Delay, Tally
from tests.waiting import LONG, PATIENCE

READERS = 4
"""Subscribers of each server."""
STAY = 200
"""The most publications that a subscriber reads before it goes away and comes back."""
PAUSE = 0.1
"""The most seconds between two publications of a server, and before a subscriber comes back."""
LIVES = (2.0, 6.0)
"""Seconds from the start of Redis until it is killed."""
AWAY = 2.0
"""The most seconds until it is started again."""
PERSISTENT = ("--port", "0", "--appendonly", "yes", "--appendfsync", "always")
"""Options of Redis with which it loses nothing."""
TRY_AGAIN_LATER = 1013
NODE = ("gevent.monkey", "--module", "tests.soak.node")

Fields = dict[str, Any]
"""What a server says: a position, and a message or whether the subscriber has recovered."""


class Channel:
    """The publishers and subscribers of servers at these ports, while ``redis``, in ``folder``, is killed."""

    def __init__(self, ports: list[int], redis: RedisServer, folder: Path, seed: int, tally: Tally) -> None:
        self.book = Book()
        self.kills = 0
        self._ports = ports
        self._redis = redis
        self._folder = folder
        self._seed = seed
        self._tally = tally
        self._calm = Event()
        """Set once Redis is not killed any more."""
        self._over = Event()
        """Set once nobody reads any more."""

    def run(self, until: float) -> None:
        """Publish and read until this time of ``monotonic``, and until all have got something after it."""
        publishing = [
            gevent.spawn(self._publish, name, port) for name, port in zip("ab", self._ports, strict=True)
        ]
        reading = [
            gevent.spawn(self._read, port, Random(f"{self._seed} reader {number}"))
            for number, port in enumerate(READERS * self._ports)
        ]
        self._kill(until)
        self._calm.set()
        gevent.joinall(reading, timeout=LONG)
        self._over.set()
        gevent.joinall(publishing, timeout=LONG, raise_error=True)
        gevent.joinall([one for one in reading if one.ready()], raise_error=True)
        if hung := sum(not one.ready() for one in reading):
            self._tally.complaints.append(f"{hung} subscribers get nothing, though Redis is back")
        gevent.killall(reading)
        self._tally.complaints.extend(self.book.complaints())

    def _kill(self, until: float) -> None:
        """Kill Redis again and again; half the time, all that it has written is gone, too."""
        random = Random(f"{self._seed} redis")
        while (life := random.uniform(*LIVES)) < until - monotonic() or not self.kills:
            gevent.sleep(life)
            self._redis.kill()
            self.kills += 1
            if random.random() < 0.5:
                shutil.rmtree(self._folder / "appendonlydir")
            gevent.sleep(random.uniform(0, AWAY))
            self._redis.start()
        gevent.sleep(max(0.0, until - monotonic()))

    def _publish(self, name: str, port: int) -> None:
        random = Random(f"{self._seed} {name}")
        number, heard = 0, monotonic()
        with closing(HTTPConnection(HOST, port, timeout=2 * PATIENCE)) as connection:
            while not self._over.is_set():
                message = f"{name} {number}"
                try:
                    place = self._published(connection, message)
                except (OSError, HTTPException) as error:
                    connection.close()  # the next request opens another
                    delay = Delay(f"{message} was not answered: {error!r}", heard, monotonic(), EXCUSE)
                    self._tally.delays.append(delay)
                    place = None
                heard = monotonic()
                if place is not None:  # otherwise nobody knows, and we repeat it
                    self.book.enter(place, message)
                    self.book.published += 1
                    number += 1
                gevent.sleep(random.uniform(0, PAUSE))

    def _published(self, connection: HTTPConnection, message: str) -> Place | None:
        """Publish a message; return its position, or ``None`` if the server does not know it."""
        connection.request("POST", "/", message)
        answer = connection.getresponse()
        place = json.loads(answer.read())
        return (place[0], place[1]) if answer.status == 200 else None

    def _read(self, port: int, random: Random) -> None:
        reading = Reading(self.book, self._tally)
        through = False
        while not through:
            self._tally.lives += 1
            try:
                through = self._stay(port, reading, random.randint(1, STAY))
            except (OSError, websocket.WebSocketException) as error:
                self._tally.complaints.append(f"at {reading.place}: {error!r}")
            gevent.sleep(random.uniform(0, PAUSE))
        reading.finish()

    def _stay(self, port: int, reading: Reading, count: int) -> bool:
        """Read so many publications, or less if the connection ends; return whether we are through."""
        since = urlencode(dict(zip(("offset", "epoch"), reading.place or (), strict=False)))
        url = f"ws://{HOST}:{port}/news?{since}"
        with closing(websocket.create_connection(url, timeout=PATIENCE)) as connection:
            stream = self._said(connection)
            early: list[Entry] = []  # if it ends before we are told more, we come back from where we were
            for fields in stream:
                if "recovered" in fields:
                    reading.begin(place_of(fields), fields["recovered"], early)
                    break
                early.append((place_of(fields), fields["message"]))
            for fields in islice(stream, count):
                reading.take(place_of(fields), fields["message"])
                if self._calm.is_set():
                    return True
        return False

    def _said(self, connection: websocket.WebSocket) -> Iterator[Fields]:
        """Yield what the server says until it closes the connection, which it may for one reason only."""
        while True:
            opcode, data = connection.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                if (code := int.from_bytes(data[:2], "big")) != TRY_AGAIN_LATER:
                    self._tally.complaints.append(f"closed with {code}")
                return
            yield json.loads(data)


def place_of(fields: Fields) -> Place:
    """Return the position that comes with what a server says."""
    offset, epoch = fields["position"]
    return offset, epoch


def soak_channels(
    seed: int, tally: Tally, environment: Mapping[str, str], log: IO[bytes], until: float
) -> str:
    """Use a channel on two servers until this time of ``monotonic``; return a line about it.

    Without ``redis-server``, it is left out, and the line says so.
    """
    if shutil.which("redis-server") is None:
        return "channels were left out: redis-server is not installed"
    with TemporaryDirectory() as folder, ExitStack() as stack:
        redis = RedisServer(Path(folder), *PERSISTENT)
        redis.start()
        stack.callback(redis.kill)
        nodes = [
            stack.enter_context(part(*NODE, redis.url, environment=environment, log=log)) for _ in range(2)
        ]
        channel = Channel([node.line()["port"] for node in nodes], redis, Path(folder), seed, tally)
        processes = {
            f"channel server {name}": node.process.pid for name, node in zip("ab", nodes, strict=True)
        }
        with gauged(processes, tally.complaints):
            channel.run(until)
    book = channel.book
    return (
        f"channels: {book.published} published on two servers, {tally.messages} delivered, {book.told} times"
        f" told that some are missing; Redis was killed {channel.kills} times"
    )
