"""``geventkws connect``: lines in and out, pipes and terminals, and how it ends."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest

from geventkws import (
    HandshakeError,
    ServiceRegistry,
    WebSocketCloseReasonCode,
    WebSocketConnection,
    WebSocketServer,
    WebSocketService,
)
from geventkws.cli import commands
from geventkws.cli.errors import ADDRESS, CERTIFICATE, USAGE
from geventkws.protocol.handshake import accept_key
from tests.certificates import Certificates
from tests.programs import ROOT, Program
from tests.waiting import PATIENCE

COMMAND = (sys.executable, "-u", "-m", "geventkws", "connect")


class Talk(WebSocketService):
    """Answers, and closes, as the message asks."""

    subprotocols = ("talk", "chat")

    def connecting(self, request):
        if request.headers.get("X-Refuse"):
            raise HandshakeError(403, "Not for you")

    def received_text(self, message: str, connection: WebSocketConnection) -> None:
        word, _, rest = message.partition(" ")
        if word == "close":
            code, _, description = rest.partition(" ")
            connection.close(WebSocketCloseReasonCode(int(code)), description)
        elif word == "bytes":
            connection.send(bytes(int(rest)))
        elif word == "header":
            connection.send(str(connection.request.headers.get(rest)))
        elif word == "subprotocol":
            connection.send(str(connection.subprotocol))
        else:
            connection.send(message)


class Done(NamedTuple):
    """What a client wrote, and its exit status."""

    stdout: str
    stderr: str
    returncode: int


Run = Callable[..., Done]


def run_process(*arguments: str, lines: str = "") -> Done:
    done = subprocess.run(
        [*COMMAND, *arguments], input=lines, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT
    )
    return Done(done.stdout, done.stderr, done.returncode)


@pytest.fixture(params=["as a process", "in this process"])
def run(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run the client with these lines in a pipe, until it ends."""
    if request.param == "as a process":
        return run_process

    def run_here(*arguments: str, lines: str = "") -> Done:
        read, write = os.pipe()
        os.write(write, lines.encode())
        os.close(write)
        with os.fdopen(read) as stdin, gevent.Timeout(PATIENCE):
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "argv", ["geventkws", "connect", *arguments])
            status = commands.run()
        return Done(*capsys.readouterr(), status)

    return run_here


@contextmanager
def talking(**options: Any) -> Iterator[int]:
    """Serve ``Talk`` at /service; yields the port."""
    services = ServiceRegistry()
    services.register(Talk(), "/service")
    server = WebSocketServer(("127.0.0.1", 0), services=services, **options)
    server.start()
    try:
        yield server.server_port or 0
    finally:
        server.stop(timeout=1)


@pytest.fixture
def url() -> Iterator[str]:
    with talking() as port:
        yield f"ws://127.0.0.1:{port}/service"


def test_a_pipe_is_sent_line_by_line_and_answers_come_until_the_server_closes(run: Run, url: str) -> None:
    done = run(url, lines="one\ntwo\r\n\nbytes 3\nbytes 100\nclose 1000 enough\n")
    assert done.stdout == f"one\ntwo\n\n<3 bytes: 00 00 00>\n<100 bytes: {'00 ' * 64}".rstrip() + "…>\n"
    assert done.stderr == "Closed: 1000 NORMAL, enough\n"
    assert done.returncode == 0


def test_a_pipe_waits_as_long_as_it_is_told(run: Run, url: str) -> None:
    done = run(url, "--wait", "0.3", lines="no end of line")
    assert done.stdout == "no end of line\n"
    assert done.stderr == "Closed: 1000 NORMAL\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("order", "text", "status"),
    [
        ("close 1001", "1001 GOING_AWAY", 0),
        ("close 1011 oops", "1011 SERVER_ERROR, oops", 1),
        ("close 4000", "4000 USER_DEFINED_4000", 1),
    ],
)
def test_the_servers_code_is_shown_and_decides_the_status(
    run: Run, url: str, order: str, text: str, status: int
) -> None:
    done = run(url, lines=order)
    assert done.stderr == f"Closed: {text}\n"
    assert done.returncode == status


def test_headers_and_subprotocols_are_sent(run: Run, url: str) -> None:
    done = run(
        url, "-H", "X-Token: secret", "--subprotocol", "chat", "--origin", f"http://{url.split('/')[2]}",
        lines="header X-Token\nsubprotocol\nclose 1000\n",
    )  # fmt: skip
    assert done.stdout == "secret\nchat\n"


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["{url}", "-H", "X-Refuse: 1"], ADDRESS, "/service refused the connection: 403 Forbidden, Not"),
        (["{url}", "--origin", "https://elsewhere.example"], ADDRESS, "refused the connection: 403"),
        (
            ["{url}x"],
            ADDRESS,
            "refused the connection: 404 Not Found, No service has been registered for the path /servicex",
        ),
        (
            ["ws://127.0.0.1:1/"],
            ADDRESS,
            "cannot connect to ws://127.0.0.1:1/: [Errno 111] Connection refused",
        ),
        (["http://127.0.0.1:1/"], USAGE, "is not a WebSocket URL such as ws://127.0.0.1:8000/chat"),
        (["nothing"], USAGE, "is not a WebSocket URL"),
        (["{url}", "--wait", "-1"], USAGE, "'--wait'"),
    ],
    ids=lambda value: "" if isinstance(value, int) else str(value[:1]),
)
def test_without_a_connection_the_reason_is_given_in_one_line(
    run: Run, url: str, arguments: list[str], status: int, text: str
) -> None:
    done = run(*[each.format(url=url) for each in arguments])
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == status


def test_a_server_that_does_not_answer_is_given_up(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run(f"ws://127.0.0.1:{silent.getsockname()[1]}/", "--timeout", "0.2")
    assert done.returncode == ADDRESS
    assert "timed out" in done.stderr


def test_a_certificate_is_checked_unless_that_is_not_wanted(
    run: Run, certificates: Certificates, tmp_path: Path
) -> None:
    authority = tmp_path / "authority.pem"
    certificates.authority.cert_pem.write_to_path(authority)
    with talking(certfile=certificates.bothfile) as port:
        url, lines = f"wss://127.0.0.1:{port}/service", "hello\nclose 1000\n"
        refused = run(url, lines=lines)
        assert refused.returncode == CERTIFICATE
        assert "--insecure trusts everybody" in refused.stderr
        assert run(url, "--cacert", str(authority), lines=lines).stdout == "hello\n"
        assert run(url, "--insecure", lines=lines).stdout == "hello\n"


def test_what_is_not_text_is_refused_and_ends_it(url: str) -> None:
    done = subprocess.run(
        [*COMMAND, url], input=b"good\n\xff\n", capture_output=True, timeout=PATIENCE, cwd=ROOT
    )
    assert done.returncode == USAGE
    assert b"stdin is not UTF-8 text" in done.stderr


def test_a_client_that_closes_sends_one_close_frame_and_no_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        client = gevent.spawn(run_process, f"ws://127.0.0.1:{listener.getsockname()[1]}/", "--wait", "0")
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as stream:
            sock.settimeout(PATIENCE)
            head = iter(stream.readline, b"\r\n")
            key = next(line for line in head if line.startswith(b"Sec-WebSocket-Key: ")).split()[1]
            for _ in head:
                pass
            sock.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept_key(key.decode()).encode() + b"\r\n\r\n"
            )
            assert stream.read(8)[:2] == b"\x88\x82"
            sock.sendall(b"\x88\x02\x03\xe8")
            assert stream.read() == b""
        assert client.get(timeout=PATIENCE).stderr == "Closed: 1000 NORMAL\n"


def on_a_terminal(url: str) -> tuple[subprocess.Popen[bytes], int]:
    master, terminal = pty.openpty()
    process = subprocess.Popen([*COMMAND, url], stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT)
    os.close(terminal)
    return process, master


def read_until(master: int, text: bytes) -> bytes:
    written = b""
    with gevent.Timeout(PATIENCE):
        while text not in written:
            written += gevent.os.tp_read(master, 65536)
    return written


@pytest.mark.parametrize("ending", ["Ctrl-D", "Ctrl-C", "the server"])
def test_at_a_terminal_lines_are_typed_until_the_end(url: str, ending: str) -> None:
    process, master = on_a_terminal(url)
    read_until(master, b"Each line is a message, Ctrl-D ends.")
    os.write(master, "hällo \x16\x1b[31m\n".encode())
    assert "hällo \\x1b[31m".encode() in read_until(master, b"\\x1b[31m\r\n")
    if ending == "Ctrl-C":
        process.send_signal(signal.SIGINT)
    else:
        os.write(master, b"\x04" if ending == "Ctrl-D" else b"close 1000\n")
    read_until(master, b"Closed: 1000 NORMAL")
    assert process.wait(PATIENCE) == 0
    os.close(master)


def test_a_reader_that_goes_away_ends_it(url: str) -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        [*COMMAND, url], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(write)
    os.close(read)
    with process:
        assert process.stdin is not None
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 1


def test_a_signal_ends_it(url: str) -> None:
    with Program(*COMMAND, url) as client:
        client.type_in("hello\n")
        client.expect("hello")
        client.signal(signal.SIGTERM)
        assert client.wait() == -signal.SIGTERM
