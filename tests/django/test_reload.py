"""``manage.py serve --reload``: a file of a project changes while a client is connected."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import requests
import websocket

from tests.cli.test_reload import change
from tests.programs import Program
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("measured")

MANAGE = """
import sys
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"], SECRET_KEY="test", ROOT_URLCONF="pages", INSTALLED_APPS=["geventkws.django"]
)
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""

PAGES = """
from django.http import HttpResponse
from django.urls import path
from geventkws import WebSocketService
from geventkws.django import accept

class Echo(WebSocketService):
    def received(self, message, connection):
        connection.send(message)

urlpatterns = [
    path("", lambda request: HttpResponse("before")),
    path("echo", lambda request: accept(request, Echo())),
]
"""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """The module with the project's pages."""
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "pages.py").write_text(PAGES)
    return tmp_path / "pages.py"


def serving(pages: Path) -> Program:
    manage = str(pages.parent / "manage.py")
    return Program(sys.executable, manage, "serve", "--port", "0", "--reload")


def test_a_change_is_served_on_the_same_port_and_clients_are_asked_to_come_back(pages: Path) -> None:
    with serving(pages) as program:
        port = program.expect(r"Listening on port (\d+)")[1]
        client = websocket.create_connection(f"ws://127.0.0.1:{port}/echo", timeout=PATIENCE)
        client.send("hello")
        assert client.recv() == "hello"
        change(pages, PAGES.replace("before", "after"))
        opcode, data = client.recv_data()
        assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1012)
        client.shutdown()
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).text == "after"
        assert "pages.py changed: restarting" in program.output
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


def test_a_mistake_is_shown_and_clients_wait_until_it_is_fixed(pages: Path) -> None:
    with serving(pages) as program:
        port = program.expect(r"Listening on port (\d+)")[1]
        change(pages, "urlpatterns = [")
        program.expect("SyntaxError")
        program.expect("Waiting for a file to change")
        change(pages, PAGES.replace("before", "mended"))
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).text == "mended"
        program.signal(signal.SIGINT)
        assert program.wait() == 0


def test_it_says_what_it_needs(pages: Path, tmp_path: Path) -> None:
    (tmp_path / "watchfiles.py").write_text("raise ModuleNotFoundError(name='watchfiles')")
    with serving(pages) as program:
        assert program.wait() == 1
        assert "CommandError: --reload needs watchfiles: pip install watchfiles" in program.output
