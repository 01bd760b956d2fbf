"""The pytest plugin in a pytest of its own, as users have it: nothing is patched there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once  # its programs are those of a user, whatever they run on

ROOT = Path(__file__).parents[2]

ECHO = """
import gevent, pytest
from geventkws import ServiceRegistry, WebSocketService

class Echo(WebSocketService):
    def received(self, message, connection):
        connection.send(message)
"""


def run_tests(directory: Path, text: str) -> tuple[int, str]:
    """Run a test module; return pytest's exit code and output."""
    (directory / "test_it.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-p", "pytest_geventkws", "-p", "no:cacheprovider"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout + done.stderr


def test_gevent_is_not_imported_before_a_fixture_is_used(tmp_path: Path) -> None:
    code, output = run_tests(
        tmp_path,
        "import sys\n"
        "def test_it(request):\n"
        "    assert 'pytest_geventkws' in sys.modules\n"
        "    assert 'gevent' not in sys.modules and 'geventkws' not in sys.modules\n"
        "    assert 'websocket' not in sys.modules\n"
        "    request.getfixturevalue('websocket_server')\n"
        "    assert 'gevent' in sys.modules\n",
    )
    assert code == 0, output


def test_servers_of_all_kinds(tmp_path: Path) -> None:
    code, output = run_tests(
        tmp_path,
        ECHO
        + """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"Hello"]

def test_a_service_and_an_application(websocket_server):
    server = websocket_server(Echo(), "/echo", application=application, max_requests=3)
    client = server.connect("/echo", origin=server.url("", "http"))
    client.send("hello")
    assert client.receive() == "hello"
    assert server.url("/echo") == f"ws://127.0.0.1:{server.port}/echo"
    assert server.server.options.max_requests == 3

def test_a_registry_and_two_servers(websocket_server):
    registry = ServiceRegistry()
    registry.register(Echo(), "/rooms/<room>")
    for path in ("/rooms/tea", "/rooms/coffee"):
        with websocket_server(services=registry).connect(path) as client:
            client.send(path)
            assert client.receive() == path

def test_without_a_port(websocket_connect):
    client = websocket_connect(Echo(), "/echo")
    client.send(b"hello")
    assert client.receive() == b"hello"
""",
    )
    assert code == 0, output
    assert "3 passed" in output


LEAKS = {
    "a callback that does not end": (
        "class Stuck(Echo):\n"
        "    def received(self, message, connection):\n"
        "        connection.send('stuck')\n"
        "        gevent.sleep(3600)\n"
        "def test_it(websocket_server):\n"
        "    client = websocket_server(Stuck()).connect()\n"
        "    client.send('hello')\n"
        "    assert client.receive() == 'stuck'\n",
        "a connection has not ended: <WebSocketConnection",
    ),
    "a greenlet that does not end": (
        "class Spawning(Echo):\n"
        "    def connected(self, connection):\n"
        "        gevent.spawn(gevent.sleep, 3600)\n"
        "        connection.send('spawned')\n"
        "def test_it(websocket_server):\n"
        "    assert websocket_server(Spawning()).connect().receive() == 'spawned'\n",
        "a greenlet has not ended: <Greenlet",
    ),
    "a request that does not end": (
        "def application(environ, start_response):\n"
        "    gevent.sleep(3600)\n"
        "def test_it(websocket_server):\n"
        "    server = websocket_server(application=application)\n"
        "    from gevent import socket\n"
        "    client = socket.create_connection(('127.0.0.1', server.port))\n"
        "    client.sendall(b'GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')\n"
        "    gevent.sleep(0.05)\n"
        "    client.close()\n",
        "1 HTTP connections have not ended",
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_an_error(tmp_path: Path, leak: str) -> None:
    text, message = LEAKS[leak]
    code, output = run_tests(tmp_path, ECHO + text)
    assert code == 1, output
    assert message in output
    assert "1 passed, 1 error" in output


def test_a_server_is_closed_without_waiting_for_any_limit(tmp_path: Path) -> None:
    code, output = run_tests(
        tmp_path,
        ECHO
        + """
from time import monotonic
from geventkws.loop import farewell
from geventkws.server import shutdown
from geventkws.testing import ServerFactory, servers

def test_it(monkeypatch):
    monkeypatch.setattr(servers, "GRACE", 60.0)
    for module in (farewell, shutdown):
        monkeypatch.setattr(module, "LAST_MOMENT", 60.0)
    monkeypatch.setattr(shutdown, "LAST_CALLS", 60.0)
    factory = ServerFactory()
    server = factory(Echo())
    for _ in range(10):
        client = server.connect()
        client.send("hello")
        assert client.receive() == "hello"
    began = monotonic()
    assert factory.close() == []
    assert monotonic() - began < 30
""",
    )
    assert code == 0, output
