"""Flask-SocketIO, python-socketio and python-engineio: the real packages, served by geventkws."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import running
from tests.helpers import free_port, require_program
from tests.programs import Program
from tests.pubsub.conftest import RedisServer
from tests.waiting import LONG

HERE = Path(__file__).parent
PYTHON_CLIENT = str(HERE / "socketio_client.py")
NODE_CLIENT = str(HERE / "socketio_client.js")


pytestmark = pytest.mark.once  # its programs run on both backends and event loops

FORMS = {
    "compiled": {"GEVENTKWS_PURE": "", "GEVENT_LOOP": "libev-cext"},
    "readable": {"GEVENTKWS_PURE": "1", "GEVENT_LOOP": "libuv"},
}
"""The backend and the event loop of a program, as its environment says them."""


@pytest.fixture(
    scope="module",
    params=[
        ("server", "gevent", "gevent-websocket", "compiled"),
        ("serve", "gevent", "gevent-websocket", "readable"),
        ("gunicorn", "gevent", "gevent-websocket", "compiled"),
        ("serve", "gevent", "simple-websocket", "compiled"),
        ("gunicorn", "gevent", "simple-websocket", "readable"),
        ("server", "gevent", "ours", "compiled"),
        ("gunicorn", "gevent", "ours", "readable"),
        ("serve", "gevent", "ours-alone", "compiled"),
        ("server", "threading", "ours", "readable"),
        ("serve", "threading", "gevent-websocket", "compiled"),  # which it does not use
        ("gunicorn", "threading", "simple-websocket", "readable"),
        ("gunicorn", "threading", "ours-alone", "compiled"),
    ],
    ids="-".join,
)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where the application is served."""
    way, mode, frames, form = request.param
    with running(way) as run:
        yield run("flask_socketio_app", MODE=mode, FRAMES=frames, **FORMS[form])


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis server, of a kind that ``message_queue`` understands."""
    number = free_port()
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--port", str(number), "--bind", "127.0.0.1")
    server.start()
    try:
        yield f"redis://127.0.0.1:{number}"
    finally:
        server.kill()


def test_a_client_in_python_does_everything(port: int) -> None:
    """By polling, by WebSocket, and by the upgrade from the one to the other."""
    succeeds(sys.executable, "-u", PYTHON_CLIENT, str(port), str(port), "polling", "websocket", "upgrade")


def test_a_client_in_node_does_everything(port: int) -> None:
    """In the same ways."""
    succeeds(*node(), str(port), str(port))


class TestOverRedis:
    """Clients of two processes reach each other."""

    def test_two_addresses(self, queue: str) -> None:
        with running("gunicorn") as run:
            settings = {"MODE": "gevent", "FRAMES": "gevent-websocket", "QUEUE": queue}
            one, two = (str(run("flask_socketio_app", **settings)) for _ in range(2))
            succeeds(sys.executable, "-u", PYTHON_CLIENT, one, two, "websocket")
            succeeds(*node(), one, two)

    @pytest.mark.parametrize(("way", "frames"), [("gunicorn", "gevent-websocket"), ("serve", "ours")])
    def test_two_workers(self, way: str, frames: str, queue: str) -> None:
        with running(way) as run:
            settings = {"MODE": "gevent", "FRAMES": frames, "QUEUE": queue}
            port = str(run("flask_socketio_app", "--workers", "2", **settings))
            succeeds(*node(), port, port, "apart")


def node() -> tuple[str, str]:
    if not (HERE / "node_modules").is_dir():
        pytest.skip(f"there is no node_modules: run `npm install` in {HERE}")
    return require_program("node"), NODE_CLIENT


def succeeds(*command: str) -> None:
    with Program(*command) as client:
        assert client.ends_within(LONG), client.output
        assert client.wait() == 0, client.output
        assert client.output.splitlines()[-1] == "everything works", client.output
        assert "Traceback" not in client.output
