"""``flask serve``, and what ``flask run`` says instead."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import websocket

from tests.cli.test_reload import change
from tests.programs import Program
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("measured")

SITE = """
import socket
from flask import Flask
from gevent import monkey
from geventkws.flask import Sockets

app = Flask(__name__)
sockets = Sockets(app)
patched = monkey.is_object_patched("socket", "socket") and socket.socket.__module__.startswith("gevent")

@sockets.route("/echo")
def echo(connection):
    connection.send(f"patched: {patched}")
    for message in connection:
        connection.send(message)
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site_of_flask.py").write_text(SITE)
    return tmp_path


def flask(site: Path, *arguments: str) -> Program:
    return Program(sys.executable, "-m", "flask", "--app", "site_of_flask", *arguments, cwd=site)


def test_serve_patches_first_and_serves_until_a_signal(site: Path) -> None:
    with flask(site, "serve", "--port", "0") as program:
        port = program.expect(r"Listening on port (\d+)")[1]
        client = websocket.create_connection(f"ws://127.0.0.1:{port}/echo", timeout=PATIENCE)
        assert client.recv() == "patched: True"
        client.send("hello")
        assert client.recv() == "hello"
        client.shutdown()
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_with_reload_a_change_is_served_on_the_same_port_and_clients_are_asked_to_come_back(
    site: Path,
) -> None:
    with flask(site, "serve", "--port", "0", "--reload") as program:
        port = program.expect(r"Listening on port (\d+)")[1]
        client = websocket.create_connection(f"ws://127.0.0.1:{port}/echo", timeout=PATIENCE)
        assert client.recv() == "patched: True"
        change(site / "site_of_flask.py", SITE.replace("patched: {", "changed, patched: {"))
        opcode, data = client.recv_data()
        assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1012)
        client.shutdown()
        client = websocket.create_connection(f"ws://127.0.0.1:{port}/echo", timeout=PATIENCE)
        assert client.recv() == "changed, patched: True"
        client.shutdown()
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_reload_says_what_it_needs(site: Path) -> None:
    (site / "watchfiles.py").write_text("raise ModuleNotFoundError(name='watchfiles')")
    with flask(site, "serve", "--port", "0", "--reload") as program:
        assert program.wait() == 2
        assert "--reload needs watchfiles: pip install watchfiles" in program.output


def test_serve_has_help(site: Path) -> None:
    with flask(site, "serve", "--help") as program:
        assert program.wait() == 0
    assert "--port" in program.output


def test_run_answers_at_once_and_says_how_to_serve(site: Path) -> None:
    with flask(site, "run", "--port", "0") as program:
        port = program.expect(r"Running on http://127\.0\.0\.1:(\d+)")[1]
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(f"ws://127.0.0.1:{port}/echo", timeout=PATIENCE)
        assert refused.value.status_code == 501
        program.expect(r"cannot open WebSockets.*or run it with: flask serve")
