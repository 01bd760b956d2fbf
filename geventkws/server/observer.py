"""Who is told what a server does, so as to count it: nobody, unless it is given ``geventkws.metrics``.

A server without an observer counts nothing. One with an observer lets it put its own counters where the bytes
pass: ``request_durations`` and ``on_refusal`` of the ``HTTPContext``, and the ``_tally`` of each connection.
"""

from __future__ import annotations

from typing import Any, Protocol

from geventkws.http.context import HTTPContext
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.registry import ServiceRegistry
from geventkws.server.connections import Connections
from geventkws.websocket.connection import WebSocketConnection


class Observed(Protocol):
    """What an observer asks of a server."""

    @property
    def services(self) -> ServiceRegistry:
        """The services that it serves."""


class Observer(Protocol):
    """What a server asks of the object that it is given as ``metrics``. None of it may wait."""

    def begin(self, server: Observed, http: HTTPContext, connections: Connections) -> None:
        """Begin to count: the server starts. ``http`` and ``connections`` are what it has from now on."""

    def end(self, server: Observed) -> None:
        """Count no more: the server has stopped. May be called again, and for one that has not begun."""

    def forsake(self) -> None:
        """Forget everything: this is a child process, and what has been counted is its parent's."""

    def websocket_opened(self, server: Observed, connection: WebSocketConnection) -> None:
        """Count a connection, of whose service nothing has been called yet but ``connecting``."""

    def websocket_closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Count a connection as over, which is in the table no longer."""


def check_observer(metrics: object) -> Any:
    """Return ``metrics`` if it is an ``Observer`` or ``None``; ``TypeError`` for anything else."""
    if metrics is None or (hasattr(metrics, "websocket_opened") and not isinstance(metrics, type)):
        return metrics
    argument = repr(metrics) if isinstance(metrics, str) else ""
    raise TypeError(
        f"metrics must be a geventkws.metrics.Metrics, not {metrics!r}: write metrics=Metrics({argument})"
    )
