"""WebSockets of uWSGI, moved."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.docs.contexts.context import Context, connect, get, refusal, serving
from tests.waiting import PATIENCE


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"page"]


def says_the_same(address: str, path: str, **options: Any) -> None:
    client = connect(address, path, **options)
    client.send("Hello")
    assert client.recv() == "Hello"
    client.close(timeout=PATIENCE)


class UwsgiService(Context):
    """A service beside the application."""

    def names(self) -> dict[str, Any]:
        return {"application": page}

    def check(self, block: SimpleNamespace) -> None:
        block.server.start()
        try:
            address = f"127.0.0.1:{block.server.server_port}"
            assert get(address) == "page"
            says_the_same(address, "/echo")
        finally:
            block.server.stop(timeout=5)
            block.WebSocket.unregister("/echo")


class UwsgiAccept(Context):
    """An application that accepts."""

    def check(self, block: SimpleNamespace) -> None:
        with serving(application=block.application) as address:
            assert refusal(address, "/") == 401
            says_the_same(address, "/", cookie="session=1")
