"""The logs: level, formats, files, colours."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
import requests

from geventkws.cli.errors import USAGE
from tests.cli.conftest import Fail, Serve
from tests.programs import PYTHONPATH, Program
from tests.waiting import PATIENCE

SHOUT = ("--service", "/chat=chat:Shout")


def test_the_access_log_is_json_if_that_is_asked_for(serve: Serve) -> None:
    server = serve("app:app", *SHOUT, "--access-log", "json", "--log-level", "info")
    server.get("/a?b=%22")
    request = json.loads(server.expect(r"\{.*\}")[0])
    assert request.pop("time").endswith("+00:00")
    assert request.pop("user_agent").startswith("python-requests")
    assert request == {
        "remote_address": "127.0.0.1",
        "request": "GET /a?b=%22 HTTP/1.1",
        "status": 200,
        "bytes_sent": 4,
    }
    client = server.connect("/chat")
    client.send("four")
    client.recv()
    client.close()
    websocket = json.loads(server.expect(r"\{.*\}")[0])
    assert websocket["websocket"] == "/chat"
    assert websocket["close_code"] == 1000
    assert websocket["messages_received"] == websocket["messages_sent"] == 1
    assert 0 < websocket["seconds"] < PATIENCE


def test_the_access_log_is_combined_by_default(serve: Serve) -> None:
    server = serve("app:app")
    server.get()
    server.expect(r'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 4 "-" "python-requests.*"')


def test_the_access_log_can_be_off(serve: Serve) -> None:
    server = serve("app:app", *SHOUT, "--access-log", "off")
    server.get()
    server.connect("/chat").close()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "GET /" not in server.output
    assert "WEBSOCKET" not in server.output


def test_the_access_log_goes_to_stdout_and_the_rest_to_stderr(project: Path) -> None:
    command = [sys.executable, "-u", "-m", "geventkws", "serve", "app:app", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            listening = re.search(r"Listening on port (\d+)", process.stderr.readline())
            assert listening
            requests.get(f"http://127.0.0.1:{listening[1]}/", timeout=PATIENCE)
            assert '"GET / HTTP/1.1" 200' in process.stdout.readline()
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_level_hides_what_is_below_it(serve: Serve, project: Path) -> None:
    (project / "logging_app.py").write_text(
        "import logging\nlogging.info('lower')\nlogging.warning('higher')\n"
        "def begin(): print('on_start was called', flush=True)\n"
    )
    command = (
        sys.executable,
        "-m",
        "geventkws",
        "serve",
        "--service",
        "/chat=chat:Shout",
        "--bind",
        "127.0.0.1:0",
    )
    arguments = ("--log-level", "WARNING", "--on-start", "logging_app:begin")
    with Program(*command, *arguments, cwd=project) as server:
        server.expect("on_start was called")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "higher" in server.output
        assert "lower" not in server.output
        assert "INFO" not in server.output


CONFIG = {
    "version": 1,
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "server.log"}},
    "root": {"level": "INFO", "handlers": ["file"]},
}

INI = """
[loggers]
keys=root
[handlers]
keys=file
[formatters]
keys=
[logger_root]
level=INFO
handlers=file
[handler_file]
class=FileHandler
args=("server.log",)
"""

TOML = """
version = 1
handlers.file = {class = "logging.FileHandler", filename = "server.log"}
root = {level = "INFO", handlers = ["file"]}
"""


@pytest.mark.parametrize(
    ("name", "text"), [("log.json", json.dumps(CONFIG)), ("log.toml", TOML), ("log.ini", INI)]
)
def test_a_configuration_says_where_the_logs_go_and_sighup_reopens_the_files(
    project: Path, name: str, text: str
) -> None:
    (project / name).write_text(text)
    log, command = project / "server.log", (sys.executable, "-m", "geventkws", "serve")
    arguments = ("--service", "/chat=chat:Shout", "--on-start", "chat:begin", "--log-config", name)
    with Program(*command, *arguments, "--bind", "127.0.0.1:0", "--health", "/up", cwd=project) as server:
        server.expect("on_start was called")
        assert "Listening on port" in log.read_text()
        log.rename(project / "server.log.1")
        server.signal(signal.SIGHUP)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Listening" not in server.output
    assert "Stopped" in log.read_text()
    assert "Stopped" not in (project / "server.log.1").read_text()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("log.json", "{", "Expecting property name"),
        ("log.json", '{"version": 2}', "Unsupported version: 2"),
        ("log.json", '{"version": 1, "root": {"handlers": ["x"]}}', "Unable to configure root logger"),
        ("log.toml", "=", "Invalid statement"),
        ("log.ini", "[nothing]", "formatters"),
        ("log.ini", "nothing", "log.ini"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_reported(
    project: Path, fail: Fail, name: str, text: str, reason: str
) -> None:
    (project / name).write_text(text)
    status, written = fail("serve", "app:app", "--log-config", name)
    assert status == USAGE
    assert reason in written
    assert len(written.splitlines()) == 1


def on_a_terminal(directory: Path, *arguments: str, **environ: str) -> bytes:
    """Run the command line with a terminal for its stderr, and return what it wrote there."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "geventkws", *arguments],
        cwd=directory,
        env={"PYTHONPATH": PYTHONPATH, "TERM": "xterm", **environ},
        stderr=terminal,
    )
    os.close(terminal)
    process.wait(PATIENCE)
    written = os.read(master, 65536)
    os.close(master)
    return written


def test_errors_have_colours_on_a_terminal_unless_these_are_unwanted(project: Path) -> None:
    assert on_a_terminal(project, "serve", "app:zzz").startswith(b"\x1b[31m\x1b[1mError:\x1b[0m ")
    assert on_a_terminal(project, "serve", "app:zzz", NO_COLOR="1").startswith(b"Error: ")


def test_the_log_has_colours_on_a_terminal(project: Path) -> None:
    (project / "warning.py").write_text("import logging\nlogging.warning('WARNING is no level here')\n")
    written = on_a_terminal(project, "serve", "warning:app")
    assert b"\x1b[33mWARNING\x1b[0m root: WARNING is no level here" in written
    assert b"\x1b[33m" not in on_a_terminal(project, "serve", "warning:app", NO_COLOR="1")
