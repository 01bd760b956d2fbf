"""Applications of gevent-websocket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.docs.contexts.context import Context, connect, refusal, serving
from tests.docs.examples import first_example_of
from tests.waiting import PATIENCE


def says_it_back(address: str, path: str = "/") -> None:
    client = connect(address, path)
    client.send("Hello")
    assert client.recv() == "You said Hello"
    client.close(timeout=PATIENCE)


def goes_to_all(port: int) -> None:
    one, two = (connect(f"127.0.0.1:{port}", "/chat") for _ in range(2))
    two.send("I am here")  # so that it is known as a client
    assert two.recv() == "I am here"
    one.send("Hello")
    assert two.recv() == "Hello"
    for client in (one, two):
        client.close(timeout=PATIENCE)


class GeventWebSocketApplication(Context):
    """An application that takes its WebSocket from the environ."""

    def check(self, block: SimpleNamespace) -> None:
        with serving(application=block.application) as address:
            says_it_back(address)
            assert refusal(address, "/", origin="https://www.example.com") == 403


class GeventWebSocketServer(Context):
    """The program around it."""

    def names(self) -> dict[str, Any]:
        names: dict[str, Any] = {}
        first_example_of("docs/how-to/from-gevent-websocket.md").run(names)
        return names

    def visit(self, address: str) -> None:
        says_it_back(address)


class GeventWebSocketResource(Context):
    """The classes, under our name."""

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        goes_to_all(block.server.server_port)
        block.server.stop(timeout=5)


class GeventWebSocketNative(GeventWebSocketResource):
    """The same as a service, which is registered for the whole process."""

    def check(self, block: SimpleNamespace) -> None:
        try:
            super().check(block)
        finally:
            block.WebSocket.unregister("/chat")
