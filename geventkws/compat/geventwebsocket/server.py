"""``WebSocketServer``, as in ``geventwebsocket.server``."""

from __future__ import annotations

from typing import Any

from geventkws.server import server
from geventkws.server.wsgi_websocket import Client, clients_of


class WebSocketServer(server.WebSocketServer):
    """The server of geventkws with gevent-websocket's ``clients``. The arguments are those of geventkws."""

    @property
    def clients(self) -> dict[Any, Client]:
        """The application's open WebSockets, each the ``ws`` of an entry, by the addresses of the clients."""
        return clients_of(self)
