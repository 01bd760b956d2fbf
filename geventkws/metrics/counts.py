"""What has been counted in this process, and its values as metrics."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import gevent

from geventkws.backend import BACKEND
from geventkws.http.request_durations import RequestDurations
from geventkws.loop.durations import Durations
from geventkws.loop.loop import Loop
from geventkws.metrics import catalogue, hub
from geventkws.metrics.catalogue import Family
from geventkws.metrics.services import Services
from geventkws.protocol.refusals import HandshakeError, Refusal
from geventkws.pubsub.tally import TALLY
from geventkws.pubsub.tally import Tally as Channels
from geventkws.server.connections import Connections
from geventkws.version import __version__
from geventkws.websocket.census import count_open
from geventkws.websocket.tally import Tally

if TYPE_CHECKING:
    from geventkws.server.observer import Observed


class Histogram(NamedTuple):
    """The value of a histogram."""

    counts: list[int]
    """By bucket: those of ``durations.BOUNDS``, and one above."""
    seconds: float


class Reading(NamedTuple):
    """The value of one time series."""

    family: Family
    labels: tuple[str, ...]
    value: float | Histogram


class Counts:
    """The counters of a process, and the servers whose connections are counted."""

    def __init__(self) -> None:
        self.services = Services()
        self.requests = RequestDurations()
        self.hub_delays = Durations()
        self._refusals = dict.fromkeys(Refusal, 0)
        self._servers: dict[Observed, Connections] = {}
        # Those of servers that have stopped, but whose last callbacks have not returned.
        self._left: list[Connections] = []
        self._loop: Loop | None = None

    @property
    def is_counting(self) -> bool:
        """Whether a server is running."""
        return bool(self._servers)

    def begin(self, server: Observed, connections: Connections, loop: Loop) -> None:
        """Count the connections of a server, which runs in the hub of ``loop``."""
        self._servers[server] = connections
        self._loop = loop

    def end(self, server: Observed) -> None:
        """Forget a server when its last connections have ended. Idempotent."""
        connections = self._servers.pop(server, None)
        if connections is not None:
            self._left.append(connections)

    def refused(self, refusal: HandshakeError | None) -> None:
        """Count a handshake that was refused; ``None``: by the application, with a response of its own."""
        self._refusals[Refusal.APPLICATION if refusal is None else refusal._refusal] += 1

    def read(self) -> Iterator[Reading]:
        """Yield the current values of all time series. In the hub, without switching away meanwhile."""
        elsewhere = self._count_connections()
        for service, tally in self.services:
            yield from _of_service(service, tally)
        for reason, count in self._refusals.items():
            yield Reading(catalogue.REFUSED, (reason,), count)
        yield Reading(catalogue.HTTP_CONNECTIONS, (), elsewhere)
        for method, status, durations in self.requests.by_kind():
            yield Reading(catalogue.HTTP_REQUESTS, (method, status), _histogram(durations))
        yield from _of_channels(TALLY)
        if self._loop is not None:
            yield Reading(catalogue.HUB_DELAY, (), _histogram(self.hub_delays))
            yield Reading(catalogue.THREADPOOL_WAITING, (), hub.waiting_tasks(self._loop))
            yield Reading(catalogue.THREADPOOL_THREADS, (), hub.threads(self._loop))
            yield Reading(catalogue.THREAD_CALLS, (), self._loop.waiting_calls())
            yield Reading(catalogue.BUILD_INFO, _build(self._loop), 1)

    def _count_connections(self) -> int:
        """Count the open WebSockets; return how many other connections there are."""
        self._left = [connections for connections in self._left if connections.peers]
        self.services.count_none_open()
        for server in self._servers:
            self.services.include(server.services)
        others = 0
        for connections in (*self._servers.values(), *self._left):
            others += len(connections.peers) - count_open(connections.peers)
        return others


def _of_service(service: str, tally: Tally) -> Iterator[Reading]:
    labels, now, ended = (service,), tally.open, tally.ended
    yield Reading(catalogue.CONNECTIONS, labels, now.connections)
    yield Reading(catalogue.OPENED, labels, ended.connections + now.connections)
    for code, count in tally.closed.items():
        yield Reading(catalogue.CLOSED, (service, code), count)
    yield Reading(catalogue.MESSAGES_RECEIVED, labels, ended.messages_received + now.messages_received)
    yield Reading(catalogue.MESSAGES_SENT, labels, ended.messages_sent + now.messages_sent)
    yield Reading(catalogue.BYTES_RECEIVED, labels, ended.bytes_received + now.bytes_received)
    yield Reading(catalogue.BYTES_SENT, labels, ended.bytes_sent + now.bytes_sent)
    yield Reading(catalogue.SEND_BUFFER, labels, now.bytes_waiting)
    yield Reading(catalogue.CALLBACKS, labels, _histogram(tally.callbacks))


def _of_channels(tally: Channels) -> Iterator[Reading]:
    channels, subscriptions = tally.sizes()
    for family, value in (
        (catalogue.PUBLICATIONS, tally.publications),
        (catalogue.DELIVERIES, tally.deliveries),
        (catalogue.DROPPED, tally.dropped),
        (catalogue.LOSSES, tally.losses),
        (catalogue.DEAF, tally.deaf),
        (catalogue.RECONNECTIONS, tally.reconnections),
        (catalogue.BUS_DELAY, _histogram(tally.delays)),
        (catalogue.CHANNELS, channels),
        (catalogue.SUBSCRIPTIONS, subscriptions),
    ):
        yield Reading(family, (), value)


def _histogram(durations: Durations) -> Histogram:
    return Histogram(durations.counts(), durations.seconds)


def _build(loop: Loop) -> tuple[str, ...]:
    event_loop = "libuv" if "libuv" in type(loop.hub.loop).__module__ else "libev"
    return (__version__, BACKEND, event_loop, gevent.__version__, platform.python_version())
