"""``--workers``: gunicorn starts the processes, and each of them is as ``geventkws serve`` alone would be."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
import websocket

from geventkws.cli.errors import ADDRESS, BROKEN, CERTIFICATE, USAGE
from tests.certificates import Certificates
from tests.cli.conftest import Fail, Running
from tests.programs import Program
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("measured")

WHO = """
import os

import gevent


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

ARGUMENTS = ("who:app", "--service", "/chat=chat:Shout")

StartWorkers = Callable[..., Running]


@pytest.fixture
def start(project: Path) -> Iterator[StartWorkers]:
    """Start ``geventkws serve --workers`` on a free port; it is killed after the test."""
    (project / "who.py").write_text(WHO)
    with ExitStack() as programs:

        def begin(*arguments: str, workers: int = 2, bind: str = "127.0.0.1:0", **options: object) -> Running:
            given = (*arguments, "--workers", str(workers), "--bind", bind)
            running = programs.enter_context(Running(project, *given, **options))  # type: ignore[arg-type]
            if bind == "127.0.0.1:0":
                running.ports.append(int(running.expect(r"Listening at: https?://127\.0\.0\.1:(\d+)")[1]))
            return running

        yield begin


def workers_of(server: Running, number: int = 2) -> set[int]:
    """Wait until so many workers have booted, and return their numbers."""
    return {int(server.expect(r"Booting worker with pid: (\d+)")[1]) for _ in range(number)}


def close_code(client: websocket.WebSocket) -> int:
    opcode, data = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    return int.from_bytes(data[:2], "big")


def test_several_processes_serve_the_application_and_the_services(start: StartWorkers) -> None:
    server = start(*ARGUMENTS)
    pids = workers_of(server)
    client = server.connect("/chat")
    client.send("hello")
    assert client.recv() == "HELLO"
    assert int(server.get().text) in pids
    server.signal(signal.SIGTERM)
    assert close_code(client) == 1001
    client.shutdown()
    assert server.wait() == 0
    assert "Traceback" not in server.output
    assert "Warning" not in server.output
    assert '"GET / HTTP/1.1" 200' in server.output
    for pid in pids:
        assert f" [{pid}] INFO geventkws.server: Stopped\n" in server.output


def test_hup_reloads_the_program(start: StartWorkers, project: Path) -> None:
    server = start(*ARGUMENTS, "--drain-code", "1012", "--pidfile", "serve.pid")
    before = workers_of(server)
    client = server.connect("/chat")
    (project / "who.py").write_text(WHO.replace("str(os.getpid())", "'changed'"))
    os.kill(int((project / "serve.pid").read_text()), signal.SIGHUP)
    assert close_code(client) == 1012
    client.shutdown()
    wait_until(lambda: server.get().text == "changed")
    assert not before & workers_of(server)


def test_usr2_starts_the_same_command_anew(start: StartWorkers, project: Path) -> None:
    server = start(*ARGUMENTS, "--pidfile", "serve.pid", workers=1)
    [old] = workers_of(server, 1)
    server.signal(signal.SIGUSR2)
    [new] = workers_of(server, 1)
    server.signal(signal.SIGTERM)
    assert server.ends_within(PATIENCE)
    assert int(server.get().text) == new != old
    wait_until((project / "serve.pid").exists)  # under its own name, now that the old one is gone
    os.kill(int((project / "serve.pid").read_text()), signal.SIGTERM)


def test_tls_health_hooks_and_logs(start: StartWorkers, certificates: Certificates) -> None:
    server = start(
        *ARGUMENTS,
        *("--certfile", certificates.certfile, "--keyfile", certificates.keyfile, "--health", "/up"),
        *("--on-start", "chat:begin", "--on-stop", "chat:end", "--access-log", "json"),
    )
    server.expect("on_start was called")
    url = f"https://127.0.0.1:{server.port}/up"
    with urllib.request.urlopen(url, timeout=PATIENCE, context=certificates.client()) as response:
        assert json.load(response) == {"status": "ok"}
    server.expect('"request": "GET /up HTTP/1.1"')
    server.signal(signal.SIGTERM)
    server.expect("on_stop was called")
    server.expect("on_stop was called")
    assert server.wait() == 0


def test_metrics_are_those_of_all_processes_and_of_those_that_are_alive(start: StartWorkers) -> None:
    server = start(*ARGUMENTS, "--metrics", "/metrics", "--metrics-bind", "127.0.0.1:0")
    port = server.expect(r",https?://127\.0\.0\.1:(\d+)")[1]

    def connections(url: str) -> float:
        text = requests.get(url, timeout=PATIENCE).text
        name = 'geventkws_websocket_connections{service="/chat"} '
        return sum(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))

    urls = (f"http://127.0.0.1:{server.port}/metrics", f"http://127.0.0.1:{port}/")
    clients = [server.connect("/chat") for _ in range(6)]
    for url in urls:
        wait_until(lambda url=url: connections(url) == 6)  # type: ignore[misc]
    for pid in workers_of(server):
        os.kill(pid, signal.SIGKILL)
    workers_of(server)
    wait_until(lambda: connections(urls[0]) == 0)
    for client in clients:
        client.shutdown()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_max_requests_by_gunicorns_own_variable(start: StartWorkers) -> None:
    server = start(*ARGUMENTS, workers=1, env={"GUNICORN_CMD_ARGS": "--max-requests 2"})
    [first] = workers_of(server, 1)
    client = server.connect("/chat")
    server.get()
    assert close_code(client) == 1012
    client.shutdown()
    assert workers_of(server, 1) != {first}


def test_a_socket_of_systemds_stays_when_the_server_stops(project: Path) -> None:
    (project / "who.py").write_text(WHO)
    path = project / "own.sock"
    activate = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
descriptor = listener.detach()
os.dup2(descriptor, 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-u", "-m", "geventkws", "serve", *sys.argv[2:]])
"""
    arguments = (*ARGUMENTS, "--workers", "1", "--bind", "systemd", "--metrics-bind", "127.0.0.1:0")
    with Program(sys.executable, "-c", activate, str(path), *arguments, cwd=project) as server:
        server.expect("Booting worker")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("chat:nobody",), USAGE, "there is no 'nobody' in chat"),
        (("app:create_app()",), BROKEN, "app:create_app() failed: TypeError, see above"),
        (("app:app", "--on-start", "chat:fail"), BROKEN, "--on-start failed: LookupError, see above"),
        (("app:app", "--on-start", "chat:named"), USAGE, "not a function"),
    ],
)
def test_what_no_worker_can_serve_ends_with_the_same_status(
    start: StartWorkers, arguments: tuple[str, ...], status: int, text: str
) -> None:
    server = start(*arguments)
    assert server.wait() == status
    assert text in server.output


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("--bind", "192.0.2.1:0"), ADDRESS, "cannot listen on 192.0.2.1:0"),
        (("--certfile", "no.pem"), CERTIFICATE, "no.pem"),
        (("--drain-window", "60"), USAGE, "must not be longer than stop_timeout, 10 s, not 60 s"),
        (("--reload",), USAGE, "--reload is for one process: leave --workers out"),
        (("--bind", "systemd"), ADDRESS, "systemd passed no socket"),
        (("--workers", "0"), USAGE, "--workers"),
    ],
)
def test_a_mistake_is_reported_before_anything_starts(
    fail: Fail, arguments: tuple[str, ...], status: int, text: str
) -> None:
    found, written = fail("serve", "app:app", "--workers", "2", *arguments)
    assert found == status
    assert text in written


def test_a_pidfile_needs_workers(fail: Fail) -> None:
    assert fail("serve", "app:app", "--pidfile", "p") == (
        USAGE,
        "Error: --pidfile needs --workers: a single process need not be looked for\n",
    )


def test_without_gunicorn_the_remedy_is_told(fail: Fail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn", None)
    status, written = fail("serve", "app:app", "--workers", "2")
    assert status == USAGE
    assert "--workers needs gunicorn: pip install 'geventkws[gunicorn]'" in written
