"""What the server logs: its start and stop, a line for each request and one for each closed WebSocket."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from typing import Any

import gevent
import pytest
import requests

from geventkws import BACKEND, HandshakeError, WebSocketServer, WebSocketService
from tests.certificates import Certificates
from tests.integration.conftest import Echo, Recorder, Serve
from tests.programs import ROOT
from tests.raw import PATIENCE, TEXT, close_frame, masked

TIME = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def access_lines(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Wait for ``count`` lines of the access log and return them."""
    with gevent.Timeout(PATIENCE):
        while True:
            lines = [record.getMessage() for record in caplog.records if record.name == "geventkws.access"]
            if len(lines) >= count:
                return lines
            gevent.sleep(0.005)


def test_a_request_is_a_line_in_the_combined_format(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site = serve(application=application)
    headers = {"User-Agent": "tests/1.0", "Referer": "http://example.com/"}
    assert requests.get(f"http://127.0.0.1:{site.port}/path?q=1", headers=headers, timeout=PATIENCE).ok
    [line] = access_lines(caplog, 1)
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {TIME} "GET /path\?q=1 HTTP/1\.1" 200 5 "http://example\.com/" "tests/1\.0"', line
    ), line


def test_a_refused_request_is_a_line_too(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site = serve()
    client = site.connect(None)
    client.send(b"garbage\r\n\r\n")
    client.read_to_end()
    [line] = access_lines(caplog, 1)
    assert re.fullmatch(rf'127\.0\.0\.1 - - {TIME} "-" 400 \d+ "-" "-"', line), line


def test_what_a_peer_sends_cannot_forge_or_colour_a_line(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(application=application)
    client = site.connect(None)
    client.send(b'GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: "\\\x9b31m\r\nConnection: close\r\n\r\n')
    client.read_to_end()
    [line] = access_lines(caplog, 1)
    assert line.endswith(r'"\x22\x5c\x9b31m"')


def test_a_closed_websocket_is_a_line_with_code_duration_and_traffic(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(Echo()).connect("/service?room=1", "User-Agent: tests/1.0")
    for text in ("one", "two"):
        client.send(masked(TEXT, text))
        client.frame()
    client.send(close_frame(4000))
    client.read_to_end()
    client.close()
    [line] = access_lines(caplog, 1)
    expected = (
        r'"WEBSOCKET /service\?room=1" 4000 \d+\.\d{3}s received 2 messages 26 bytes sent 2 messages 14 bytes'
    )
    assert re.fullmatch(rf'127\.0\.0\.1 - - {TIME} {expected} "tests/1\.0"', line), line


def test_a_handler_that_waits_loses_no_line(serve: Serve) -> None:
    class Slow(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []

        def emit(self, record: logging.LogRecord) -> None:
            gevent.sleep(0.01)
            self.lines.append(record.getMessage())

    slow = Slow()
    logger = logging.getLogger("geventkws.access")
    logger.addHandler(slow)
    try:
        service = Recorder()
        site = serve(service)
        clients = [site.connect() for _ in range(10)]
        for client in clients:
            client.reset()
        with gevent.Timeout(PATIENCE):
            while len(slow.lines) < 10:
                gevent.sleep(0.005)
    finally:
        logger.removeHandler(slow)


def test_the_server_logs_where_it_listens_and_that_it_stopped(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve()
    site.server.stop()
    messages = [record.getMessage() for record in caplog.records if record.name == "geventkws.server"]
    where = f"port {site.port} of 127.0.0.1"
    assert messages == [f"Listening on {where}: ws and http, {BACKEND} backend", "Stopped"]


def test_the_start_tells_of_tls(
    serve: Serve, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    serve(certfile=certificates.bothfile)
    assert caplog.messages[0].endswith(f" of 127.0.0.1: wss and https, {BACKEND} backend")


ABSTRACT = f"unix:@geventkws-{os.getpid()}"


@pytest.mark.parametrize(
    ("listener", "where"),
    [
        (("", 0), r"port \d+ of every address"),
        ("0.0.0.0:0", r"port \d+ of every address"),
        ("localhost:0", r"port \d+ of 127\.0\.0\.1"),
        (ABSTRACT, ABSTRACT),
    ],
    ids=["port", "any", "localhost", "abstract"],
)
def test_the_start_tells_where(listener: Any, where: str, caplog: pytest.LogCaptureFixture) -> None:
    if "@" in listener and sys.platform != "linux":
        pytest.skip("only Linux has abstract names")
    server = WebSocketServer(listener)
    server.start()
    server.stop()
    assert re.fullmatch(rf"Listening on {where}: ws and http, {BACKEND} backend", caplog.messages[0])


@pytest.mark.parametrize(
    ("logs", "count"),
    [
        ("", 1),
        ("logging.basicConfig(level=logging.INFO)", 1),
        ("logging.basicConfig()", 0),
        ("logging.getLogger('geventkws').addHandler(logging.NullHandler())", 0),
    ],
)
def test_the_start_is_told_on_stderr_where_no_log_is_configured(logs: str, count: int) -> None:
    errors = run_program(f"{PATCH}import logging\n{logs}\n{START}")
    assert len(re.findall(r"Listening on port \d+ of 127\.0\.0\.1: ws and http", errors)) == count


FORGED = "/rooms/%0aCRITICAL%20root%1b[31m%c2%9b%e2%80%a8%e2%80%ae"


class Refusing(Recorder):
    """Says who is refused what, and why, in the words of the request."""

    def connecting(self, request):
        raise HandshakeError(403, f"{request.path} is not for {request.headers['User-Agent']}")


def refusing(environ, start_response):
    environ["geventkws.upgrade"](Refusing())


class FailingAtOnce(Recorder):
    def connecting(self, request):
        raise RuntimeError("oops")


class Representing(Recorder):
    """Logs everything about its connections that has a ``repr``."""

    def connected(self, connection):
        request = connection.request
        for each in (connection, request, request.headers, request.query, request.cookies):
            logging.getLogger("geventkws.server").info("%r, %s", each, each)
        super().connected(connection)


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("service", "logged"),
    [
        (FailingAtOnce(), "connecting failed"),
        (Representing(), "<WebSocketConnection"),
        (None, "is refused: 403 /rooms/"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_line_of_the_log_is_the_peers(
    serve: Serve, caplog: pytest.LogCaptureFixture, service: WebSocketService | None, logged: str
) -> None:
    caplog.set_level(logging.DEBUG, "geventkws")
    paths = {"/rooms/<room>": service} if service else {}
    site = serve(paths=paths, application=refusing)
    client = site.connect(f"{FORGED}?{FORGED}", "User-Agent: \x9b31m", "Cookie: a=\x9b\\012")
    client.close()
    site.wait_until_empty()
    access_lines(caplog, 1)
    messages = [record.getMessage() for record in caplog.records]
    assert any(logged in message for message in messages)
    assert all(message.isprintable() for message in messages), messages


@pytest.mark.logs_errors
def test_a_failing_connecting_is_logged_and_answered_with_500(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Echo):
        def connecting(self, request):
            raise RuntimeError("oops")

    client = serve(Failing()).connect()
    assert client.head.startswith("HTTP/1.1 500 ")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "Failing.connecting failed for /service"
    assert record.exc_info


START = """
from geventkws import ServiceRegistry, WebSocketServer
server = WebSocketServer(("127.0.0.1", 0), None, ServiceRegistry())
server.start()
server.stop()
"""


def run_program(program: str) -> str:
    """Run ``program`` and return what it writes to stderr."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ).stderr


PATCH = "from gevent import monkey; monkey.patch_all()\n"
MENDED_BY = "from gevent import monkey\n    monkey.patch_all()"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (START + START, "sockets are not patched for gevent"),
        ("from time import sleep\n" + PATCH + START + START, "too late: __main__.sleep (time.sleep) had"),
        (
            "from socket import socket, getaddrinfo as look_up\n" + PATCH + START,
            "too late: __main__.socket (socket.socket) and 1 more had been imported before",
        ),
    ],
)
def test_a_mistake_in_patching_is_told_once_with_the_lines_that_mend_it(program: str, said: str) -> None:
    errors = run_program(program)
    assert said in errors
    assert errors.count(MENDED_BY) == 1


@pytest.mark.parametrize(
    "program",
    [
        PATCH + START,
        PATCH + "from time import sleep\nfrom socket import socket\n" + START,
        "import time, socket, select, subprocess\n" + PATCH + START,
    ],
)
def test_a_program_that_patches_in_time_is_told_nothing(program: str) -> None:
    assert "gevent import monkey" not in run_program(program)
