"""Serve a Flask application and WebSockets on one port."""

from __future__ import annotations

import urllib.request
from types import SimpleNamespace
from typing import Any

import flask

import geventkws
from tests.docs.contexts.context import PUBLIC, Context, connect, echoes, get, refusal
from tests.docs.contexts.services import Echo
from tests.programs import PATIENCE


class FlaskPage(Context):
    """The whole program."""

    def visit(self, address: str) -> None:
        assert get(address) == "Hello"
        echoes(address, "/echo")


class Ticker(geventkws.WebSocketService):
    """Keeps its connections, as the tutorial's chat does."""

    def __init__(self) -> None:
        self.connections: dict[str, geventkws.WebSocketConnection] = {}

    def connected(self, connection: geventkws.WebSocketConnection) -> None:
        self.connections[connection.id] = connection


class Prices(Context):
    """A view that sends to the connections of a service."""

    def names(self) -> dict[str, Any]:
        return {**PUBLIC, "app": flask.Flask("prices"), "request": flask.request, "Ticker": Ticker}

    def check(self, block: SimpleNamespace) -> None:
        server = geventkws.WebSocketServer(("127.0.0.1", 0), block.app)
        server.start()
        address = f"127.0.0.1:{server.server_port}"
        client = connect(address, "/prices")
        urllib.request.urlopen(f"http://{address}/price", b"12.50", timeout=PATIENCE).close()
        assert client.recv() == "12.50"
        client.close(timeout=PATIENCE)
        server.stop(timeout=5)


class Rooms(Context):
    """A view that decides on an upgrade."""

    def names(self) -> dict[str, Any]:
        app = flask.Flask("rooms")
        return {**PUBLIC, "app": app, "request": flask.request, "Echo": Echo, "rooms": {"tea"}}

    def visit(self, address: str) -> None:
        echoes(address, "/rooms/tea")
        assert refusal(address, "/rooms/coffee") == 404
