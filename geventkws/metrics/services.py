"""The tallies of services, by their names in the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from geventkws.http.request_durations import OTHER
from geventkws.protocol.close_codes import WebSocketCloseReasonCode, is_user_defined
from geventkws.registry import ServiceRegistry
from geventkws.request import split_target
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.tally import Tally, Totals

if TYPE_CHECKING:
    from geventkws.server.observer import Observed

MAX_SERVICES = 200
"""How many services are told apart: programs that make classes or paths at run time may make any number."""


class Services:
    """A tally for each service. None is ever forgotten, since a counter must not decrease."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def __iter__(self) -> Iterator[tuple[str, Tally]]:
        return iter(list(self._tallies.items()))

    def include(self, registry: ServiceRegistry) -> None:
        """Make a tally for each registered service, so that what has not happened yet shows as 0."""
        for path in registry.services:
            self._tally(path)

    def opened(self, server: Observed, connection: WebSocketConnection) -> None:
        """Count a connection from now on."""
        path = server.services.registered_path(split_target(connection.request.target)[0])
        connection._tally = self._tally(type(connection.service).__name__ if path is None else path)

    def closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Count a connection among those that have ended."""
        tally = connection._tally
        if tally is not None:  # it was opened before the counting began
            tally.ended.add(connection._endpoint)
            code = _code(connection, reason)
            tally.closed[code] = tally.closed.get(code, 0) + 1

    def count_none_open(self) -> None:
        """Begin to count the open connections."""
        for tally in self._tallies.values():
            tally.open = Totals()

    def _tally(self, service: str) -> Tally:
        if service not in self._tallies and len(self._tallies) >= MAX_SERVICES:
            service = OTHER
        return self._tallies.setdefault(service, Tally())


def _code(connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> str:
    """Return the name of a close code; the two thousand that a client could make up share two names."""
    ending = connection._ending
    if not is_user_defined(reason) or (ending is not None and reason == ending.close_code):
        return str(int(reason))
    return f"{reason // 1000}xxx"
