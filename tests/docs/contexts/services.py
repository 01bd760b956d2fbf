"""Fragments of several pages: a service, a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import geventkws
from geventkws import ServiceRegistry, WebSocketServer, WebSocketService
from tests.docs.contexts.context import PUBLIC, Context, echoes, get


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer any request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]


class Echo(WebSocketService):
    """Sends back what it receives."""

    def received(self, message: str | bytes, connection: geventkws.WebSocketConnection) -> None:
        connection.send(message)


class Service(Context):
    """A class with an attribute or two, which can be registered."""

    def names(self) -> dict[str, Any]:
        return {"WebSocketService": WebSocketService}

    def check(self, block: SimpleNamespace) -> None:
        classes = [
            one for one in vars(block).values() if isinstance(one, type) and one.__module__ == "__main__"
        ]
        assert classes
        for one in classes:
            # The page leaves out how such a service handles its messages.
            whole = type(one.__name__, (one, Echo), {})
            ServiceRegistry().register(whole(), "/")


class Server(Context):
    """A server that is only made, from an application."""

    def names(self) -> dict[str, Any]:
        return {"WebSocketServer": WebSocketServer, "app": application}


class SecondServer(Context):
    """A server with a registry of its own."""

    def names(self) -> dict[str, Any]:
        return {**PUBLIC, "app": application, "Echo": Echo}

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        address = f"127.0.0.1:{block.server.server_port}"
        echoes(address, "/echo")
        assert get(address) == "Hello"
        block.server.stop(timeout=5)


class ServerInATest(Context):
    """A server that is started and stopped."""

    def names(self) -> dict[str, Any]:
        return {"WebSocketServer": WebSocketServer, "app": application, "registry": ServiceRegistry()}

    def check(self, block: SimpleNamespace) -> None:
        assert not block.server.started
        assert block.server.server_port
