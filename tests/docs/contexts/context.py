"""What a context is, and what several have in common."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import websocket

import geventkws
from geventkws import ServiceRegistry, WebSocketServer, WebSocketService
from tests.waiting import PATIENCE

PUBLIC = {name: getattr(geventkws, name) for name in geventkws.__all__}
"""What `from geventkws import ...` may have imported above a block."""


class Context:
    """The names that a block uses without defining them, and the checks of what it did."""

    def names(self) -> dict[str, Any]:
        """Return the names that the block finds: those the page has introduced, or leaves to the reader."""
        return {}

    def visit(self, address: str) -> None:
        """Connect to the block's server at ``"127.0.0.1:port"``; defined for a block that serves."""

    def check(self, block: SimpleNamespace) -> None:
        """Check what the block has left behind."""

    @property
    def serves(self) -> bool:
        """Whether the block runs a server until it is ended."""
        return type(self).visit is not Context.visit


def connect(address: str, path: str, **options: Any) -> websocket.WebSocket:
    """Open a WebSocket."""
    connection = websocket.WebSocket()
    connection.connect(f"ws://{address}{path}", timeout=PATIENCE, **options)
    return connection


def refusal(address: str, path: str, **options: Any) -> int:
    """Return the status with which a WebSocket is refused."""
    try:
        connect(address, path, **options).close(timeout=PATIENCE)
    except websocket.WebSocketBadStatusException as error:
        return int(error.status_code)
    raise AssertionError(f"{path} was accepted")


def close_code(connection: websocket.WebSocket) -> int:
    """Read up to the server's close frame and return its code."""
    while True:
        opcode, frame = connection.recv_data_frame(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            connection.shutdown()
            return int.from_bytes(frame.data[:2], "big")


def get(address: str, path: str = "/") -> str:
    """Return the body of the response to a GET."""
    with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE) as response:
        return str(response.read().decode())


@contextmanager
def serving(
    service: WebSocketService | None = None, application: Any = None, path: str = "/", **options: Any
) -> Iterator[str]:
    """Run a server with a service at ``path`` and yield its address."""
    registry = ServiceRegistry()
    if service is not None:
        registry.register(service, path)
    server = WebSocketServer(("127.0.0.1", 0), application, registry, **options)
    server.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.stop(timeout=5)


def echoes(address: str, path: str, **options: Any) -> None:
    """Check that what is sent comes back."""
    connection = connect(address, path, **options)
    connection.send("Hello")
    assert connection.recv() == "Hello"
    connection.close(timeout=PATIENCE)
