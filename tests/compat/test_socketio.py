"""Flask-SocketIO, python-socketio and python-engineio: the real packages, served by geventkws."""

from __future__ import annotations

import sys

import pytest

from tests.compat.conftest import Run
from tests.programs import ROOT, Program
from tests.pubsub.conftest import RedisServer, own_redis

__all__ = ["own_redis"]

CLIENT = str(ROOT / "tests" / "compat" / "socketio_client.py")


@pytest.mark.parametrize(
    ("run", "mode", "frames"),
    [
        ("server", "gevent", "gevent-websocket"),
        ("serve", "gevent", "gevent-websocket"),
        ("gunicorn", "gevent", "gevent-websocket"),
        ("serve", "gevent", "simple-websocket"),
        ("gunicorn", "gevent", "ours"),
        ("serve", "threading", "simple-websocket"),
        ("server", "threading", "ours"),
    ],
    indirect=["run"],
)
def test_a_client_does_everything(run: Run, mode: str, frames: str) -> None:
    """By polling, by WebSocket, and by the upgrade from the one to the other."""
    port = run("flask_socketio_app", MODE=mode, FRAMES=frames)
    for transport in ("polling", "websocket", "upgrade"):
        do_everything(port, port, transport)


@pytest.mark.parametrize("run", ["gunicorn"], indirect=True)
def test_clients_of_two_processes_reach_each_other_over_redis(run: Run, own_redis: RedisServer) -> None:
    settings = {"MODE": "gevent", "FRAMES": "gevent-websocket", "QUEUE": own_redis.url}
    one, two = (run("flask_socketio_app", **settings) for _ in range(2))
    do_everything(one, two, "websocket")


def do_everything(port: int, other: int, transport: str) -> None:
    with Program(sys.executable, "-u", CLIENT, str(port), str(other), transport) as client:
        client.expect("everything works")
        assert client.wait() == 0, client.output
        assert "Traceback" not in client.output
