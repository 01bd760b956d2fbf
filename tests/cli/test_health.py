"""What a load balancer learns from the health check."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from geventkws.cli.health import Health
from tests.cli.conftest import Serve
from tests.waiting import PATIENCE


def answer(health: Health, path: str = "/up", method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    body = b"".join(
        health(
            {"PATH_INFO": path, "REQUEST_METHOD": method},
            lambda *status_and_headers: told.extend(status_and_headers),
        )
    )
    return told[0], dict(told[1]), body


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"the application"]


def test_health_is_200_and_503_while_draining() -> None:
    health = Health(application, "/up")
    status, headers, body = answer(health)
    assert (status, body) == ("200 OK", b'{"status": "ok"}\n')
    assert headers == {
        "Content-Type": "application/json",
        "Content-Length": "17",
        "Cache-Control": "no-store",
    }
    health.draining = True
    status, headers, body = answer(health)
    assert (status, body) == ("503 Service Unavailable", b'{"status": "draining"}\n')
    assert headers["Content-Length"] == str(len(body))


def test_head_has_no_body_and_other_methods_are_refused() -> None:
    health = Health(application, "/up")
    assert answer(health, method="HEAD")[2] == b""
    assert answer(health, method="HEAD")[1]["Content-Length"] == "17"
    status, headers, body = answer(health, method="POST")
    assert (status, headers["Allow"], body) == ("405 Method Not Allowed", "GET, HEAD", b"")


@pytest.mark.parametrize("path", ["/", "/up/", "/up/x", "/UP"])
def test_other_paths_belong_to_the_application(path: str) -> None:
    assert answer(Health(application, "/up"), path)[2] == b"the application"


def test_the_listener_stays_open_for_the_drain_delay(serve: Serve) -> None:
    server = serve(
        "--service",
        "/chat=chat:Shout",
        "--health",
        "/healthz",
        "--drain-delay",
        "1.5",
        "--on-stop",
        "chat:end",
    )
    assert server.get("/healthz").json() == {"status": "ok"}
    client = server.connect("/chat")
    server.signal(signal.SIGTERM)
    server.expect("Draining")
    response = server.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"status": "draining"})
    client.send("still here")
    assert client.recv() == "STILL HERE"
    assert "on_stop" not in server.output
    assert client.recv_data()[1][:2] == (1001).to_bytes(2, "big")
    assert server.wait() == 0


def test_health_needs_neither_an_application_nor_a_delay(serve: Serve) -> None:
    server = serve("--service", "/chat=chat:Shout", "--health", "/healthz")
    assert server.get("/healthz").status_code == 200
    assert server.get("/").status_code == 404
    server.signal(signal.SIGTERM)
    assert server.ends_within(PATIENCE)
