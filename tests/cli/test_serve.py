"""``geventkws serve`` as a process of its own: what it serves, and how it ends."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import websocket

from geventkws import __version__
from tests.certificates import Certificates
from tests.cli.conftest import Serve
from tests.programs import Program
from tests.waiting import PATIENCE

SHOUT = ("--service", "/chat=chat:Shout")


def test_an_application_and_services_are_served_on_one_port(serve: Serve) -> None:
    server = serve(
        "app:app", *SHOUT, "--service", "/named=chat:Named('me')", "--service", "/named/2=chat:named"
    )
    assert server.get().text == "app\n"
    for path, answer in (("/chat", "HELLO"), ("/named", "me: hello"), ("/named/2", "instance: hello")):
        client = server.connect(path)
        client.send("hello")
        assert client.recv() == answer
        client.close()


def test_services_need_no_application(serve: Serve) -> None:
    server = serve(*SHOUT)
    assert server.get().status_code == 404


def test_an_application_is_made_by_a_call_with_literals(serve: Serve) -> None:
    assert serve("app:create_app('hi', times=2)").get().text == "hihi"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_gracefully(serve: Serve, number: int) -> None:
    server = serve(*SHOUT, "--on-start", "chat:begin", "--on-stop", "chat:end")
    server.expect("on_start was called")
    client = server.connect("/chat")
    server.signal(number)
    opcode, data = client.recv_data()
    assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1001)
    server.expect("on_stop was called")
    assert server.wait() == 0
    assert "Traceback" not in server.output


def test_a_second_signal_ends_it_at_once(serve: Serve) -> None:
    server = serve("app:app", "--health", "/up", "--drain-delay", "60")
    server.signal(signal.SIGTERM)
    server.expect("Draining")
    server.signal(signal.SIGTERM)
    assert server.wait() == -signal.SIGTERM


def test_several_listeners_share_the_services_and_stop_together(serve: Serve, project: Path) -> None:
    path = project / "server.socket"
    server = serve(
        "app:app", *SHOUT, "--bind", "[::1]:0", "--bind", f"unix:{path}", "--unix-socket-mode", "600"
    )
    server.expect("Listening on unix:")
    server.learn_port()
    assert requests.get(f"http://[::1]:{server.ports[0]}/", timeout=PATIENCE).text == "app\n"
    client = server.connect("/chat", index=1)
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as unix:
        unix.settimeout(PATIENCE)
        unix.connect(str(path))
        unix.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert unix.makefile("rb").read().endswith(b"app\n")
    server.signal(signal.SIGTERM)
    assert client.recv_data()[1][:2] == (1001).to_bytes(2, "big")
    assert server.wait() == 0
    assert server.output.count("Stopped") == 3
    assert not path.exists()


def test_a_socket_from_systemd_is_used(project: Path) -> None:
    program = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-u", "-m", "geventkws", "serve", "app:app", "--bind", "systemd"])
"""
    with Program(sys.executable, "-c", program, cwd=project) as server:
        port = int(server.expect(r"Listening on port (\d+)")[1])
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).text == "app\n"


def test_certificates_are_chosen_by_name_and_read_again_on_sighup(
    serve: Serve, project: Path, certificates: Certificates
) -> None:
    def issue(stem: str, name: str) -> None:
        issued = certificates.authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(project / f"{stem}.pem")
        issued.private_key_pem.write_to_path(project / f"{stem}.key")

    def serial(name: str) -> str:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as plain,
            certificates.client().wrap_socket(plain, server_hostname=name) as secure,
        ):
            return str((secure.getpeercert() or {})["serialNumber"])

    issue("main", "localhost")
    issue("other", "other.example.org")
    server = serve(
        "app:app", "--certfile", "main.pem", "--keyfile", "main.key",
        "--certificate", "other.example.org=other.pem,other.key",
    )  # fmt: skip
    before = serial("localhost")
    assert serial("other.example.org") != before
    issue("main", "localhost")
    server.signal(signal.SIGHUP)
    server.expect("the certificates were read again")
    assert serial("localhost") != before
    (project / "main.key").write_text("no key")
    server.signal(signal.SIGHUP)
    server.expect("keeps the certificates it has")
    with pytest.raises(ssl.SSLCertVerificationError):
        serial("www.example.org")


def test_app_dir_says_where_modules_are_found(serve: Serve, project: Path) -> None:
    (project / "src").mkdir()
    (project / "app.py").rename(project / "src" / "site_app.py")
    assert serve("site_app:app", "--app-dir", "src").get().text == "app\n"


def test_an_option_reaches_the_server(serve: Serve) -> None:
    server = serve(
        "app:app", "--max-target-size", "100", "--server-header", "me", env={"GEVENTKWS_MAX_REQUESTS": "1"}
    )
    assert server.get("/" + 100 * "x").status_code == 414
    answer = server.get()
    assert answer.headers["Server"] == "me"
    assert answer.headers["Connection"] == "close"


def test_python_m_shows_the_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geventkws", "--version"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout == f"geventkws {__version__}\n"
