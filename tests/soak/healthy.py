"""Clients that keep to the protocol: what they are promised must hold, over any link that loses nothing."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from random import Random
from time import monotonic

import gevent
import websocket

from tests.soak.link import HOST
from tests.soak.server import EVENTS
from tests.soak.tally import Delay, Order, Tally
from tests.waiting import PATIENCE

LONGEST_WAIT = 5.0
"""Seconds that a client on a good link may wait, on a busy machine, beside callbacks that burn time."""


@dataclass(frozen=True)
class Life:
    """One life of a client: where it connects, and where it counts.

    ``timed`` says that nothing but the server can hold up its answers; ``lossless``, that none can be lost;
    ``until``, a time of ``monotonic``, when there will be no other life.
    """

    port: int
    tls: ssl.SSLContext | None
    random: Random
    tally: Tally
    lossless: bool
    timed: bool
    until: float

    def websocket(self, path: str) -> websocket.WebSocket:
        """Open a WebSocket; the caller closes it."""
        options = {"context": self.tls} if self.tls else {}
        scheme = "wss" if self.tls else "ws"
        return websocket.create_connection(
            f"{scheme}://{HOST}:{self.port}{path}", timeout=PATIENCE, sslopt=options
        )

    def http(self) -> HTTPConnection:
        """Return a connection that opens at its first request; the caller closes it."""
        if self.tls:
            return HTTPSConnection(HOST, self.port, timeout=PATIENCE, context=self.tls)
        return HTTPConnection(HOST, self.port, timeout=PATIENCE)

    def page(self, connection: HTTPConnection, number: int) -> None:
        """Ask for the page of this number, which must come."""
        began = monotonic()
        connection.request("GET", f"/number/{number}")
        self.expect(str(number), connection.getresponse().read().decode())
        self.waited(began)
        self.tally.messages += 1

    def waited(self, since: float) -> None:
        """Note how long an answer has taken since this time of ``monotonic``."""
        if self.timed:
            wait = monotonic() - since
            self.tally.waits.append(wait)
            if wait > LONGEST_WAIT:
                what = f"waited {wait:.1f} s for an answer"
                self.tally.delays.append(Delay(what, since, since + wait, excuse=wait - LONGEST_WAIT))

    def expect(self, expected: object, found: object) -> None:
        """Complain if an answer is not the expected one."""
        if found != expected:
            self.tally.complaints.append(f"expected {expected!r:.60}, not {found!r:.60}")


Kind = Callable[[Life], None]


def echo(life: Life, path: str, bursts: int, burst: int, pause: float) -> None:
    """Send numbered messages in bursts, and hold what comes back to them."""
    sent: list[str] = []
    order = Order(life.tally)
    finished = order.finished(lambda: len(sent), life.lossless)
    with finished, closing(life.websocket(path)) as connection:
        for _ in range(bursts):
            began = monotonic()
            for _ in range(life.random.randint(1, burst)):
                sent.append(f"{len(sent)} {'x' * int(life.random.paretovariate(0.7) % 60_000)}")
                connection.send(sent[-1])
            for _ in range(len(sent) - order.taken):
                message = connection.recv()
                number = int(message.split()[0])
                order.take(number)
                life.expect(sent[number], message)
            life.waited(began)
            gevent.sleep(life.random.uniform(0, pause))


def chatty(life: Life) -> None:
    echo(life, "/echo", bursts=30, burst=10, pause=0.2)


def deflated(life: Life) -> None:
    echo(life, "/deflated", bursts=10, burst=10, pause=0.5)


def idle(life: Life) -> None:
    echo(life, "/echo", bursts=3, burst=1, pause=4)


def brief(life: Life) -> None:
    """One message, and away: it comes back again and again."""
    echo(life, "/echo", bursts=1, burst=1, pause=0.5)


def slow(life: Life) -> None:
    """Send much, and read it late and little by little."""
    order = Order(life.tally)
    count = life.random.randint(20, 100)
    finished = order.finished(lambda: count, life.lossless)
    with finished, closing(life.websocket("/echo")) as connection:
        for number in range(count):
            connection.send(f"{number} {'x' * 2000}")
        gevent.sleep(1)
        for _ in range(count):
            order.take(int(connection.recv().split()[0]))
            gevent.sleep(0.02)


def news(life: Life) -> None:
    """Read publications, of which none may be missing or come twice."""
    with closing(life.websocket("/news")) as connection:
        first = int(connection.recv())
        order = Order(life.tally, first)
        order.take(first)
        with order.finished(lambda: 0, life.lossless):
            for _ in range(life.random.randint(10, 100)):
                order.take(int(connection.recv()))


def pages(life: Life) -> None:
    """Ask for numbered pages over one connection."""
    with closing(life.http()) as connection:
        for number in range(life.random.randint(1, 40)):
            life.page(connection, number)
            gevent.sleep(life.random.uniform(0, 0.2))


def uploads(life: Life) -> None:
    """Send bodies, with a length or in chunks, and hold the answer to their digests."""
    with closing(life.http()) as connection:
        for _ in range(life.random.randint(1, 5)):
            body = life.random.randbytes(life.random.randint(1, 300_000))
            chunked = life.random.random() < 0.5
            connection.request(
                "POST", "/upload", iter([body]) if chunked else body, encode_chunked=chunked,
                headers={"Transfer-Encoding": "chunked"} if chunked else {},
            )  # fmt: skip
            life.expect(hashlib.sha256(body).hexdigest(), connection.getresponse().read().decode())
            life.tally.messages += 1
            gevent.sleep(life.random.uniform(0, 0.5))


def events(life: Life) -> None:
    """Read a stream of server-sent events to its end."""
    order = Order(life.tally)
    with order.finished(lambda: EVENTS, life.lossless), closing(life.http()) as connection:
        connection.request("GET", "/events")
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                order.take(int(line[6:]))


KINDS: tuple[Kind, ...] = (chatty, deflated, idle, brief, slow, news, pages, uploads, events)
