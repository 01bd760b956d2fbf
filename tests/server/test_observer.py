"""What a server tells its observer, and who can be one."""

from __future__ import annotations

from typing import Any

import pytest

from geventkws import WebSocketServer
from geventkws.http.context import HTTPContext
from geventkws.metrics import Metrics
from geventkws.server.connections import Connections
from geventkws.server.observer import Observed, check_observer
from tests.integration.conftest import Echo, Serve
from tests.raw import close_frame


class Listener:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, server: Observed, http: HTTPContext, connections: Connections) -> None:
        self.told.append(("begin", server, type(http), type(connections)))

    def end(self, server: Observed) -> None:
        self.told.append(("end", server))

    def forsake(self) -> None:
        self.told.append("forsake")

    def websocket_opened(self, server: Observed, connection: Any) -> None:
        self.told.append(("opened", server, connection))

    def websocket_closed(self, connection: Any, reason: int) -> None:
        self.told.append(("closed", connection, reason))


def test_it_learns_of_the_start_of_each_connection_and_of_the_end(serve: Serve) -> None:
    listener, service = Listener(), Echo()
    site = serve(service, metrics=listener)
    client = site.connect()
    service.expect("connected")
    client.send(close_frame(1000))
    client.read_to_end()
    service.expect("disconnected", 1000)
    site.wait_until_empty()
    site.server.stop(timeout=1)
    (connection,) = service.connections
    assert listener.told[:4] == [
        ("begin", site.server, HTTPContext, Connections),
        ("opened", site.server, connection),
        ("closed", connection, 1000),
        ("end", site.server),
    ]


def test_an_observer_is_accepted_and_so_is_none() -> None:
    listener = Listener()
    assert check_observer(listener) is listener
    assert check_observer(None) is None


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("/metrics", r"not '/metrics': write metrics=Metrics\('/metrics'\)"),
        (Metrics, r"not <class .*Metrics'>: write metrics=Metrics\(\)"),
        (True, r"not True: write metrics=Metrics\(\)"),
    ],
)
def test_a_server_accepts_nothing_else(given: Any, text: str) -> None:
    with pytest.raises(TypeError, match=f"metrics must be a geventkws.metrics.Metrics, {text}"):
        WebSocketServer(("127.0.0.1", 0), metrics=given)
