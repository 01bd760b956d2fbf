"""A real project, served by ``manage.py serve``: login, session, middleware and ORM around its services."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
import websocket

from tests.helpers import free_port
from tests.programs import ROOT, Program
from tests.waiting import PATIENCE

MANAGE = str(ROOT / "tests" / "django" / "manage.py")

pytestmark = [
    pytest.mark.usefixtures("measured"),
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted by /proc"),
]


class Project:
    """A running project, and the session of one of its users."""

    def __init__(self, program: Program, port: str) -> None:
        self.program = program
        self.address = f"127.0.0.1:{port}"
        self.session: requests.Session

    def get(self, path: str) -> requests.Response:
        return self.session.get(f"http://{self.address}{path}", timeout=PATIENCE)

    def connect(self, path: str, **options: Any) -> websocket.WebSocket:
        cookie = "; ".join(f"{name}={value}" for name, value in self.session.cookies.items())
        return websocket.create_connection(
            f"ws://{self.address}{path}", timeout=PATIENCE, cookie=cookie, redirect_limit=0, **options
        )

    def refusal(self, path: str, **options: Any) -> int:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            self.connect(path, **options)
        return int(refused.value.status_code)


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a project whose database has a user."""
    directory = tmp_path_factory.mktemp("project")
    environ = {
        "TEST_DATABASE": str(directory / "db.sqlite3"),
        "DJANGO_SUPERUSER_PASSWORD": "s3cr3t",
        "PYTHONWARNINGS": "ignore",
    }
    for arguments in (
        ["migrate", "--verbosity", "0"],
        ["createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.org"],
        ["createsuperuser", "--noinput", "--username", "ben", "--email", "ben@example.org"],
    ):
        with Program(sys.executable, MANAGE, *arguments, env=environ) as program:
            assert program.wait() == 0, program.output
    return environ


@pytest.fixture(scope="module")
def served(environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with Program(sys.executable, MANAGE, "serve", "--port", "0", env=environ, cwd=elsewhere) as program:
        yield Project(program, program.expect(r"Listening on port (\d+)")[1])
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


@pytest.fixture
def project(served: Project) -> Iterator[Project]:
    with requests.Session() as served.session:
        yield served


@pytest.fixture
def ann(project: Project) -> Project:
    """The project, for a user who has logged in."""
    assert project.get("/login?name=ann&password=s3cr3t").text == "Welcome"
    return project


def test_a_stranger_is_sent_to_the_login(project: Project) -> None:
    with pytest.raises(websocket.WebSocketException) as refused:
        project.connect("/rooms/7")
    assert "Redirect" in str(refused.value)
    assert project.session.get(f"http://{project.address}/rooms/7", allow_redirects=False).status_code == 302


def test_a_user_who_has_logged_in_is_let_in_and_the_orm_works_in_every_callback(ann: Project) -> None:
    client = ann.connect("/rooms/7")
    assert client.recv() == "2 users, open before: 0"
    for name, count in (("ann", 1), ("zoe", 0)):
        client.send(name)
        assert client.recv() == f"{count} of {name}, open before: 0, room {{'room': 7}}"
    client.close()


def test_a_chat_of_two_users(project: Project) -> None:
    clients = []
    for name in "ann", "ben":
        with requests.Session() as project.session:
            assert project.get(f"/login?name={name}&password=s3cr3t").text == "Welcome"
            clients.append(project.connect("/chat"))
    ann, ben = clients
    assert [ann.recv(), ann.recv(), ben.recv()] == ["1 here", "2 here", "2 here"]
    ann.send("hello")
    assert ben.recv() == ann.recv() == "ann: hello"
    ben.send("hi")
    assert ben.recv() == ann.recv() == "ben: hi"
    ann.close()
    ben.close()


def test_changes_of_the_session_in_the_view_are_saved(ann: Project) -> None:
    client = ann.connect("/rooms/8")
    client.recv()
    client.close()
    assert ann.get("/last-room").text == "8, open: 1, patched: True"


def test_database_connections_are_closed_after_a_callback_that_fails(ann: Project) -> None:
    client = ann.connect("/rooms/7")
    client.recv()
    client.send("fail")
    opcode, frame = client.recv_data_frame(control_frame=True)
    assert (opcode, frame.data[:2]) == (websocket.ABNF.OPCODE_CLOSE, (1011).to_bytes(2, "big"))
    client.shutdown()
    ann.program.expect("Users failed; the connection is closed")
    assert ann.get("/last-room").text.endswith("open: 1, patched: True")


def test_the_pull_style_and_connecting(ann: Project) -> None:
    client = ann.connect("/pull")
    client.send("ann")
    assert client.recv() == "1 of ann"
    client.close()


def test_connecting_refuses(project: Project) -> None:
    assert project.refusal("/pull") == 402


@pytest.mark.parametrize(("query", "status"), [("missing", 404), ("forbidden", 403), ("broken", 500)])
def test_what_connecting_raises_is_answered_by_django(project: Project, query: str, status: int) -> None:
    assert project.refusal(f"/pull?{query}=") == status


def test_a_foreign_origin_is_refused(ann: Project) -> None:
    assert ann.refusal("/rooms/7", origin="http://evil.example") == 403


def test_a_page_is_not_a_websocket(ann: Project) -> None:
    answer = ann.get("/rooms/7")
    assert answer.status_code == 400
    assert "This address is for WebSockets" in answer.text


def await_listener(port: int) -> None:
    """Wait until a server listens that only announces it beforehand."""
    with gevent.Timeout(PATIENCE):
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                return
            gevent.sleep(0.02)


def test_runserver_answers_at_once_and_says_how_to_serve(environ: dict[str, str]) -> None:
    port = free_port()
    arguments = ["runserver", "--noreload", f"127.0.0.1:{port}"]
    with Program(sys.executable, "-u", MANAGE, *arguments, env=environ) as program:
        program.expect("Starting (WSGI )?development server at")  # Django 6.1 says which
        await_listener(port)
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(f"ws://127.0.0.1:{port}/pull", timeout=PATIENCE, cookie="session=1")
        assert refused.value.status_code == 501
        program.expect(r"cannot open WebSockets.*run: manage\.py serve")
