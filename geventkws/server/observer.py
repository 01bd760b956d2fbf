"""The observer of a server, which counts what it does: none, unless ``geventkws.metrics`` is used.

A server without an observer counts nothing. A server with one lets it put its own counters where the bytes
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
        """The services that the server serves."""


class Observer(Protocol):
    """What a server asks of the object that it is given as ``metrics``. No method may wait."""

    def begin(self, server: Observed, http: HTTPContext, connections: Connections) -> None:
        """Begin to count: the server is starting. From now on, it has ``http`` and ``connections``."""

    def end(self, server: Observed) -> None:
        """Stop counting: the server has stopped. May be called again, and for a server that has not begun."""

    def forsake(self) -> None:
        """Forget everything: this is a child process, and what was counted belongs to its parent."""

    def websocket_opened(self, server: Observed, connection: WebSocketConnection) -> None:
        """Count a connection whose service has not been called yet, except for ``connecting``."""

    def websocket_closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Count a connection as over; it is no longer in the table."""


def check_observer(metrics: object) -> Any:
    """Return ``metrics`` if it is an ``Observer`` or ``None``; ``TypeError`` for anything else."""
    if metrics is None or (hasattr(metrics, "websocket_opened") and not isinstance(metrics, type)):
        return metrics
    argument = repr(metrics) if isinstance(metrics, str) else ""
    raise TypeError(
        f"metrics must be a geventkws.metrics.Metrics, not {metrics!r}: write metrics=Metrics({argument})"
    )
