"""``Metrics``, which makes the servers that are given it count what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry

from geventkws.http.context import Application, HTTPContext
from geventkws.loop.loop import Loop
from geventkws.metrics import multiprocess
from geventkws.metrics.collector import ReadingCollector
from geventkws.metrics.counts import Counts, Reading
from geventkws.metrics.hub import HubClock
from geventkws.metrics.page import AtPath, Page, check_path
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.server.connections import Connections
from geventkws.websocket.connection import WebSocketConnection

if TYPE_CHECKING:
    from geventkws.server.observer import Observed

WRITE_INTERVAL = 1.0
"""Seconds between two writes of a process's values for the other processes."""

WRITE_SHARE = 0.01
"""The share of the time that writing may take: where there is much to write, it is done less often."""


class Metrics:
    """Counts what servers do, for Prometheus.

    ``path``, such as ``"/metrics"``, is where the servers themselves answer with the metrics, whatever the
    application has there; with ``None``, only ``application`` does. ``registry`` is the prometheus_client
    registry to which the metrics are added, by default that of the program's own metrics.

    One ``Metrics`` is enough for all servers of a process (``WebSocketServer(..., metrics=metrics)``), which
    must run in one thread. If ``PROMETHEUS_MULTIPROC_DIR`` is set, the metrics are those of all processes
    with the same directory: prometheus_client's multi-process mode.

    Raises ``ValueError`` if the registry already has these metrics, if the path is not a path, or if the
    directory does not exist; ``TypeError`` if the path is not a ``str``; ``RuntimeError`` if the variable was
    set too late.
    """

    def __init__(self, path: str | None = None, *, registry: CollectorRegistry = REGISTRY) -> None:
        self._path = check_path(path)
        self._counts = Counts()
        self._loop: Loop | None = None
        self._clock: HubClock | None = None
        self._writer: multiprocess.Writer | None = None
        self._write_at = 0.0
        if multiprocess.is_chosen():
            self._writer = _registered(multiprocess.Writer, registry)
            self._page = Page(multiprocess.all_processes(), self._write)
        else:
            _registered(registry.register, ReadingCollector(self._read))
            self._page = Page(registry, None)

    @property
    def application(self) -> Application:
        """A WSGI application that answers every path with the metrics: for a port of their own."""
        return self._page

    # What the servers call

    def begin(self, server: Observed, http: HTTPContext, connections: Connections) -> None:
        loop = Loop.current()
        if self._counts.is_counting and loop is not self._loop:
            raise RuntimeError("servers in several threads need a Metrics each, with a registry of its own")
        self._loop = loop
        self._counts.begin(server, connections, loop)
        http.request_durations = self._counts.requests
        http.on_refusal = self._counts.refused
        if self._path is not None:
            http.application = AtPath(self._path, self._page, http.application)
        if self._clock is None:
            self._clock = HubClock(loop, self._counts.hub_delays, self._tick)
            self._clock.start()

    def end(self, server: Observed) -> None:
        self._counts.end(server)
        if not self._counts.is_counting and self._clock is not None:
            self._clock.stop()
            self._clock = None
            self._write()

    def forsake(self) -> None:
        if self._clock is not None:
            self._clock.stop()
            self._clock = None
        self._counts = Counts()
        if self._writer is not None:
            self._writer.forsake()

    def websocket_opened(self, server: Observed, connection: WebSocketConnection) -> None:
        self._counts.services.opened(server, connection)

    def websocket_closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        self._counts.services.closed(connection, reason)
        if not self._counts.is_counting:
            self._write()

    # What prometheus_client gets

    def _read(self) -> Iterable[Reading]:
        """Return all values. In any thread."""
        readings: list[Reading] = []
        if self._counts.is_counting and self._loop is not None and self._loop.is_foreign_thread():
            self._loop.wait_for_call(lambda: readings.extend(self._counts.read()))
        else:
            readings.extend(self._counts.read())
        return readings

    def _tick(self, now: float) -> None:
        if now >= self._write_at:
            self._write()
            self._write_at = monotonic() + max(WRITE_INTERVAL, (monotonic() - now) / WRITE_SHARE)

    def _write(self) -> None:
        """Write the values for other processes, if there are any."""
        if self._writer is not None:
            self._writer.write(self._counts.read())


def _registered(register: Callable[..., Any], argument: object) -> Any:
    """Return what ``register`` returns; if there are duplicates, say what to do."""
    try:
        return register(argument)
    except ValueError as error:
        raise ValueError(f"{error}: one Metrics is enough for all servers of a process") from None
