"""The guide to the command line: its files are written, and its commands run, as they are on the page."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from docs import command_line
from tests.certificates import Certificates
from tests.programs import ROOT, Program
from tests.waiting import PATIENCE

GUIDE = (ROOT / "docs" / "how-to" / "command-line.md").read_text()

FILES = dict(re.findall(r"`(\w+\.py)`[^`]*\n\n```python\n(.*?)```", GUIDE, re.DOTALL))

TOML = re.search(r"```toml\n(.*?)```", GUIDE, re.DOTALL)

CONSOLES = re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)

SERVE = [
    line for console in CONSOLES for line in re.findall(r"^\$ (geventkws serve .*)$", console, re.MULTILINE)
]

COMMAND = f"{shlex.quote(sys.executable)} -u -m geventkws "


@pytest.fixture
def directory(tmp_path: Path, certificates: Certificates) -> Path:
    """A directory with the files in the guide, and the certificates that it assumes."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for stem in ("cert", "other"):
        (tmp_path / f"{stem}.pem").write_text(Path(certificates.certfile).read_text())
    for stem in ("key", "other"):
        (tmp_path / f"{stem}.key").write_text(Path(certificates.keyfile).read_text())
    (tmp_path / "key.pem").write_text(Path(certificates.keyfile).read_text())
    return tmp_path


def program(command: str, directory: Path, **environ: str) -> Program:
    """Run a command from the guide, on a free port."""
    command = command.replace("geventkws ", COMMAND, 1).replace(":8000", ":0")
    return Program(
        "sh", "-c", f"exec {command}", cwd=directory, env={"GEVENTKWS_BIND": "127.0.0.1:0", **environ}
    )


def test_the_guide_contains_what_is_tested_here() -> None:
    assert set(FILES) == {"hello.py", "ticker.py"}
    assert TOML
    assert len(SERVE) == 9


@pytest.mark.parametrize("command", [command for command in SERVE if not command.endswith("hello:ap")])
def test_every_server_in_the_guide_serves_and_stops(directory: Path, command: str) -> None:
    with program(command.replace("--drain-delay 5", "--drain-delay 0"), directory) as server:
        server.expect(r"Listening (on port |at: .*:)\d+")
        if "--workers" in command:
            server.expect(r"Booting worker")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.output


def test_the_mistake_in_the_guide_is_reported_as_it_says(directory: Path) -> None:
    console = next(each for each in CONSOLES if "Error:" in each)
    command, _, answer = console.removeprefix("$ ").partition("\n")
    with program(command, directory) as failing:
        assert failing.wait() == 2
        assert failing.output == answer


def test_the_pipe_in_the_guide_gets_these_answers(directory: Path) -> None:
    console = next(each for each in CONSOLES if "printf" in each)
    command, _, answers = console.removeprefix("$ ").partition("\n")
    with program(SERVE[0], directory) as server:
        port = server.expect(r"Listening on port (\d+)")[1]
        command = command.replace("geventkws ", COMMAND).replace(":8000", f":{port}")
        done = subprocess.run(
            ["sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.stdout + done.stderr == answers


def test_the_file_in_the_guide_stands_for_the_whole_command(directory: Path) -> None:
    assert TOML
    text = TOML[1].replace("/run/hello/", "").replace(":8000", ":0")
    (directory / "geventkws.toml").write_text(text)
    with Program("sh", "-c", f"exec {COMMAND} serve", cwd=directory) as server:
        server.expect(r"Listening on port \d+")
        server.expect("Listening on unix:hello.sock")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(directory / "hello.sock"))
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b'{"status": "ok"}\n')
        server.expect(r'"request": "GET /healthz HTTP/1.1"')


def test_the_reference_is_made_from_the_options(tmp_path: Path) -> None:
    committed = (ROOT / command_line.PAGE).read_text()
    (tmp_path / command_line.PAGE).parent.mkdir(parents=True)
    subprocess.run([sys.executable, command_line.__file__, tmp_path], check=True, timeout=PATIENCE)
    made = (tmp_path / command_line.PAGE).read_text()
    assert committed == made, "run: python docs/command_line.py"
