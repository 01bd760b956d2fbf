"""The clients of a soak: each lives one life after the other until the end."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from random import Random
from time import monotonic

import gevent
from websocket import WebSocketException

from tests.soak import healthy, loiterers, rogues
from tests.soak.healthy import Kind, Life
from tests.soak.link import LOSSLESS, LOSSY
from tests.soak.punctuality import Span
from tests.soak.tally import Delay, Tally
from tests.waiting import LONG

ENDINGS = (OSError, WebSocketException, HTTPException)
"""How a connection may end for a client."""
EXCUSE = 2.0
"""Seconds for which a client or its link must have been late, if the end of a connection is to be excused."""
BUSY = 8
"""One in so many clients is busy; the others loiter."""
RATE = 50
"""Clients that begin in a second."""
PAUSE = 0.2
"""The most seconds between two lives."""

Links = Mapping[str, Mapping[str, int]]
"""Ports that lead to a port of the server, given in digits, by the names of the faults on the way."""


class Crowd:
    """``size`` clients, of which most loiter, and a quarter of the busy are rogues.

    All that they do by chance follows ``seed``.
    """

    def __init__(
        self, size: int, seed: int, ports: Mapping[str, int], links: Links, tls: ssl.SSLContext
    ) -> None:
        kinds = (*healthy.KINDS, *loiterers.KINDS, *rogues.KINDS)
        self.tallies = {kind.__name__: Tally() for kind in kinds}
        self._seed = seed
        self._ports = ports
        self._links = links
        self._tls = tls
        self._size = size

    def run(self, until: float) -> None:
        """Live until this time of ``monotonic``, and then to the end of each life that has begun."""
        clients = [gevent.spawn(self._live, number, until) for number in range(self._size)]
        gevent.sleep(max(0.0, until - monotonic()))
        gevent.joinall(clients, timeout=LONG)
        for number, client in enumerate(clients):
            if not client.ready():
                self.tallies[self._kind(number).__name__].complaints.append(f"client {number} never ended")
            elif client.exception is not None:
                raise client.exception
        gevent.killall(clients)

    def complaints(self, late: Sequence[Span] = ()) -> Iterator[str]:
        """Yield what the healthy have to complain about, if they and their links were late in these spans."""
        for kind, tally in self.tallies.items():
            yield from (f"{kind}: {complaint}" for complaint in tally.complaints)
            yield from (f"{kind}: {delay.what}" for delay in tally.delays if delay.holds(late))
            for name in ("lost", "doubled", "disorder"):
                if count := getattr(tally, name):
                    yield f"{kind}: {count} messages {name}"

    def _kind(self, number: int) -> Kind:
        busy, rest = divmod(number, BUSY)
        if rest:
            return loiterers.KINDS[rest % len(loiterers.KINDS)]
        group, place = divmod(busy, 4)
        if place == 3:
            return rogues.KINDS[group % len(rogues.KINDS)]
        return healthy.KINDS[(3 * group + place) % len(healthy.KINDS)]

    def _live(self, number: int, until: float) -> None:
        life = 0
        gevent.sleep(min(number / RATE, until - monotonic()))
        while monotonic() < until:
            random = Random(f"{self._seed} {number} {life}")
            gevent.sleep(random.uniform(0, PAUSE))
            self._live_once(self._kind(number), random, until, f"client {number}, life {life}")
            life += 1

    def _live_once(self, kind: Kind, random: Random, until: float, name: str) -> None:
        way = "tls" if random.random() < 0.4 else "plain"
        tls = self._tls if way == "tls" else None
        tally = self.tallies[kind.__name__]
        tally.lives += 1
        if random.random() < 0.5:
            self._try(kind, Life(self._ports[way], tls, random, tally, True, True, until), name)
            return
        fault = random.choice((*LOSSLESS, *LOSSY))
        port = self._links[str(self._ports[way])][fault.__name__]
        life = Life(port, tls, random, tally, fault in LOSSLESS, False, until)
        self._try(kind, life, f"{name}, {fault.__name__}")

    def _try(self, kind: Kind, life: Life, name: str) -> None:
        began = monotonic()
        try:
            kind(life)
        except ENDINGS as error:
            if life.lossless and kind not in rogues.KINDS:
                what = f"{name}, {'TLS' if life.tls else 'plain'}: {error!r}"
                life.tally.delays.append(Delay(what, began, monotonic(), EXCUSE))
