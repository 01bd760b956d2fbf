"""Watch it with Prometheus."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import REGISTRY

from geventkws import WebSocketServer, WebSocketService
from geventkws.metrics import Metrics
from tests.docs.contexts.context import Context, connect, get, serving
from tests.docs.contexts.services import application
from tests.waiting import PATIENCE


class MetricsAtAPath(Context):
    """An application, and a server that counts."""

    def names(self) -> dict[str, Any]:
        return {"WebSocketServer": WebSocketServer, "app": application}

    def visit(self, address: str) -> None:
        assert get(address) == "Hello"
        assert "\ngeventkws_http_connections 1.0\n" in get(address, "/metrics")


class MetricsOnAPort(Context):
    """The same application, on one of two servers."""

    def __init__(self) -> None:
        self.servers: list[WebSocketServer] = []

    def names(self) -> dict[str, Any]:
        return {"WebSocketServer": self._server, "app": application}

    def _server(self, *args: Any, **options: Any) -> WebSocketServer:
        self.servers.append(WebSocketServer(*args, **options))
        return self.servers[-1]

    def visit(self, address: str) -> None:
        metrics, other = (f"127.0.0.1:{server.server_port}" for server in self.servers)
        assert "\ngeventkws_http_connections 0.0\n" in get(metrics)
        assert get(other, "/metrics") == "Hello"


class OwnMetrics(Context):
    """A server with metrics, to which the program has added its own."""

    def names(self) -> dict[str, Any]:
        return {"WebSocketService": WebSocketService}

    def check(self, block: SimpleNamespace) -> None:
        with serving(block.Chess(), metrics=Metrics("/metrics")) as address:
            player = connect(address, "/")
            player.send("e2e4")
            player.close(timeout=PATIENCE)
            assert REGISTRY.get_sample_value("chess_moves_total") == 1
            assert "\nchess_moves_total 1.0\n" in get(address, "/metrics")
