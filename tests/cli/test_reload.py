"""``--reload``: a file changes, clients connect meanwhile, and the server stops."""

from __future__ import annotations

import os
import re
import select
import signal
from pathlib import Path

import pytest
import websocket

from tests.certificates import Certificates
from tests.cli.conftest import Running, Serve
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("measured")

ARGUMENTS = ("app:app", "--service", "/chat=chat:Shout", "--reload")


def change(path: Path, text: str) -> None:
    """Write a file in one step, as editors do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def answering(text: str) -> str:
    return (
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        f"    return [{text.encode()!r}]\n"
    )


def child_of(server: Running) -> int:
    """Return the id of the process that serves."""
    listing = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return int(listing.split()[0])


def test_a_change_is_served_on_the_same_port_and_websockets_are_asked_to_reconnect(
    serve: Serve, project: Path
) -> None:
    server = serve(*ARGUMENTS)
    assert server.get().text == "app\n"
    client = server.connect("/chat")
    change(project / "app.py", answering("changed"))
    opcode, data = client.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1012)
    assert server.get().text == "changed"
    assert server.learn_port() == server.port
    assert "app.py changed: restarting" in server.output
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_syntax_error_is_shown_and_clients_wait_for_the_next_change(serve: Serve, project: Path) -> None:
    server = serve(*ARGUMENTS)
    change(project / "app.py", "def app(:\n")
    server.expect("SyntaxError: invalid syntax")
    server.expect("Waiting for a file to change")
    change(project / "app.py", answering("mended"))
    assert server.get().text == "mended"
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_other_directories_are_watched(serve: Serve, project: Path) -> None:
    (project / "lib").mkdir()
    (project / "other").mkdir()
    server = serve(*ARGUMENTS, "--reload-dir", "lib", "--reload-dir", "other")
    change(project / "app.py", answering("unseen"))
    change(project / "other" / "new.py", "")
    server.expect(re.escape("other/new.py changed"))
    assert "app.py changed" not in server.output


def test_a_file_for_the_environment_is_read_again(serve: Serve, project: Path) -> None:
    (project / "an.env").write_text("WORD=before\n")
    text = "import os\n" + answering("x").replace("b'x'", "os.environ['WORD'].encode()")
    (project / "app.py").write_text(text)
    server = serve(*ARGUMENTS, "--env-file", "an.env")
    assert server.get().text == "before"
    (project / "an.env").write_text("WORD=after\n")
    change(project / "app.py", text + "\n")
    server.learn_port()
    assert server.get().text == "after"


def test_sighup_is_passed_on(serve: Serve, project: Path, certificates: Certificates) -> None:
    server = serve(*ARGUMENTS, "--certfile", certificates.bothfile)
    server.signal(signal.SIGHUP)
    server.expect("the certificates were read again")


def test_a_unix_socket_stays_and_is_removed_in_the_end(serve: Serve, project: Path) -> None:
    path = project / "server.socket"
    server = serve(*ARGUMENTS, "--unix-socket-mode", "600", "--bind", f"unix:{path}")
    before = path.stat()
    change(project / "app.py", answering("changed"))
    server.expect("changed: restarting")
    server.learn_port()
    assert path.stat().st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o600
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_is_left_behind(serve: Serve, number: int) -> None:
    server = serve(*ARGUMENTS)
    child = child_of(server)
    descriptor = os.pidfd_open(child)
    server.signal(number)
    server.wait()
    assert select.select([descriptor], [], [], PATIENCE)[0]
    os.close(descriptor)


def test_a_second_signal_ends_both_at_once(serve: Serve, project: Path) -> None:
    server = serve(*ARGUMENTS, "--health", "/up", "--drain-delay", "60")
    child = os.pidfd_open(child_of(server))
    server.signal(signal.SIGTERM)
    server.expect("Draining")
    server.signal(signal.SIGTERM)
    assert server.wait() == 128 + signal.SIGTERM
    assert select.select([child], [], [], PATIENCE)[0]
    os.close(child)
