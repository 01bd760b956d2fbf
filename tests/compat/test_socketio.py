"""Flask-SocketIO, python-socketio and python-engineio: the real packages, served by geventkws."""

from __future__ import annotations

import sys

import pytest

from tests.compat.conftest import Run
from tests.programs import ROOT, Program

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
        with Program(sys.executable, "-u", CLIENT, str(port), transport) as client:
            client.expect("everything works")
            assert client.wait() == 0, client.output
            assert "Traceback" not in client.output
