"""Metrics from the command line: at a path, or at an address of their own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from geventkws.cli.errors import ADDRESS, USAGE
from tests.cli.conftest import Running, Serve
from tests.metrics.conftest import scrape
from tests.raw import TEXT, RawClient, masked, upgrade_request

pytestmark = pytest.mark.once  # its programs are those of a user, whatever they run on

CHAT = ("--service", "/chat=chat:Shout")
SERVICE = {"service": "/chat"}


def test_they_are_at_a_path_beside_the_application_and_the_health(serve: Serve) -> None:
    server = serve("app:app", *CHAT, "--metrics", "/metrics", "--health", "/up")
    with RawClient(server.port, "/chat") as client:
        client.send(masked(TEXT, "x"))
        assert client.frame().payload == b"X"
        assert scrape(server.port).value("websocket_messages_received_total", **SERVICE) == 1
    assert server.get("/").text == "app\n"
    assert server.get("/up").json() == {"status": "ok"}


def test_an_address_of_their_own_covers_all_servers_and_serves_nothing_else(serve: Serve) -> None:
    server = serve("app:app", *CHAT, "--bind", "127.0.0.1:0", "--metrics-bind", "127.0.0.1:0")
    first, second, metrics = server.port, server.learn_port(), server.learn_port()
    with RawClient(first, "/chat"), RawClient(second, "/chat"):
        assert scrape(metrics).value("websocket_connections", **SERVICE) == 2
    assert server.get("/metrics").text == "app\n"
    with RawClient(metrics, None) as client:
        client.send(upgrade_request("/chat"))
        assert client.read_head().startswith("HTTP/1.1 200 ")  # with the metrics, as at any path


def test_they_can_still_be_fetched_while_the_others_stop(serve: Serve) -> None:
    server = serve(*CHAT, "--metrics-bind", "127.0.0.1:0")
    metrics = server.learn_port()
    with RawClient(server.port, "/chat") as client:
        server.signal(signal.SIGTERM)
        assert client.close_code()[0] == 1001  # which is not answered, so that the server waits
        assert scrape(metrics).value("websocket_connections", **SERVICE) == 1
    assert server.wait() == 0


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--metrics", "metrics"], USAGE, "--metrics must begin with a slash: write '/metrics'"),
        (["--metrics", "/metrics?x"], USAGE, "--metrics: the path of the metrics must be like '/metrics'"),
        (["--metrics-bind", "9100x"], USAGE, "--metrics-bind: listener '9100x' has no port"),
        (["--metrics-bind", "192.0.2.1:9100"], ADDRESS, "cannot listen on 192.0.2.1:9100"),
    ],
)
def test_mistakes_are_reported_in_one_line(
    project: Path, arguments: list[str], status: int, text: str
) -> None:
    with Running(project, *CHAT, "--bind", "127.0.0.1:0", *arguments) as server:
        assert server.wait() == status
        assert f"Error: {text}" in server.output.splitlines()[-1]
