"""What a server can be made of and what it cannot, and what it says when it starts."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geventkws import BACKEND, ServiceRegistry, WebSocket, WebSocketServer
from geventkws.net.listeners import native_socket
from geventkws.server.start_up import check_listener
from tests.certificates import Certificates
from tests.integration.conftest import Recorder, Serve
from tests.waiting import PATIENCE


def tell(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


async def asgi(scope, receive, send):
    pass


class OldASGI:
    def __init__(self, scope):
        pass


class ASGI:
    async def __call__(self, scope, receive, send):
        pass


class TestWhatCannotBeListenedOn:
    @pytest.mark.parametrize(
        ("listener", "error", "said"),
        [
            (("", "0"), TypeError, "the port must be an int: write ('', 0)"),
            (("", "http"), TypeError, "the port must be an int, not 'http'"),
            (("", None), TypeError, "the port must be an int, not None"),
            (("", True), TypeError, "the port must be an int, not True"),
            (("", 80.0), TypeError, "the port must be an int, not 80.0"),
            (("", 65536), ValueError, "the port must be from 0 (a free one) to 65535"),
            (("", -1), ValueError, "the port must be from 0"),
            ((8080, ""), TypeError, "the host must be a str, '' for every address: write ('', 8080)"),
            ((None, 8080), TypeError, "the host must be a str, '' for every address"),
            ((b"", 8080), TypeError, "the host must be a str"),
            (("a..b", 8080), ValueError, "'a..b' is not a host name"),
            (("",), ValueError, "listener must be (host, port), not ('',)"),
            (["", 8080], TypeError, "not ['', 8080]: write ('', 8080)"),
            (
                None,
                TypeError,
                "listener must be (host, port), 'host:port', 'unix:/path', 'systemd' or a socket",
            ),
            (80.5, TypeError, "listener must be (host, port)"),
            (True, TypeError, "listener must be (host, port)"),
            (70000, ValueError, "listener 70000: the port must be from 0"),
            ("localhost", ValueError, "listener 'localhost' has no port: write 'localhost:8080'"),
            ("localhost:", ValueError, "listener 'localhost:' has no port: write 'localhost:8080'"),
            ("localhost:http", ValueError, "has no port"),
            ("localhost:70000", ValueError, "the port must be from 0"),
            ("::1:8080", ValueError, "write an IPv6 address in brackets, '[::1]:8080'"),
            ("ws://localhost:8080", ValueError, "is a URL: write 'host:port'; TLS needs certfile"),
            ("/run/app.sock", ValueError, "for a Unix socket write 'unix:/run/app.sock'"),
            (Path("/run/app.sock"), TypeError, "must not be a path: write 'unix:/run/app.sock'"),
        ],
    )
    def test_it_is_refused_with_what_to_write(self, listener: Any, error: type[Exception], said: str) -> None:
        with pytest.raises(error, match=re.escape(said)):
            WebSocketServer(listener, tell)

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_so_is_a_socket_that_does_not_listen(self, kind: socket.SocketKind) -> None:
        with socket.socket(type=kind) as sock, pytest.raises(ValueError, match=r"must (listen|be a stream)"):
            WebSocketServer(sock, tell)

    def test_so_is_a_closed_socket(self) -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.close()
        with pytest.raises(ValueError, match="listener must be open"):
            WebSocketServer(sock, tell)

    def test_so_is_a_tls_socket(self, certificates: Certificates) -> None:
        with (
            certificates.server().wrap_socket(socket.create_server(("127.0.0.1", 0)), True) as sock,
            pytest.raises(TypeError, match=r"must be a plain socket, .*: TLS needs certfile or ssl_context"),
        ):
            WebSocketServer(sock, tell)

    @pytest.mark.parametrize(
        "listener",
        [
            8080,
            "8080",
            "*:8080",
            ":8080",
            "localhost:0",
            "[::1]:0",
            ("::1", 0, 0, 0),
            "systemd:web",
            "unix:/x",
        ],
    )
    def test_what_can_work_is_accepted(self, listener: Any) -> None:
        check_listener(listener)

    def test_a_socket_that_blocks_does_not_block_the_hub(self) -> None:
        """The hub is told that somebody waits, but another process that listens may accept first."""
        with native_socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            server = WebSocketServer(listener, tell)
            server.start()
            try:
                assert not server.socket.getblocking()
                assert server.do_read() is None
            finally:
                server.stop()


class TestWhatIsServed:
    @pytest.mark.parametrize(
        ("services", "said"),
        [
            ([Recorder()], "make one with ServiceRegistry(), and put each service in it with its register("),
            (Recorder(), "services must be a ServiceRegistry, not <"),
            ({"chat": Recorder()}, "services must be a ServiceRegistry, not {'chat': "),
            (WebSocket, "leave it out, or write WebSocket.services"),
            (ServiceRegistry, "services must be a ServiceRegistry, not <class"),
            (0, "services must be a ServiceRegistry, not 0"),
        ],
    )
    def test_services_must_be_a_registry(self, services: Any, said: str) -> None:
        with pytest.raises(TypeError, match=re.escape(said)):
            WebSocketServer(("127.0.0.1", 0), tell, services)

    @pytest.mark.parametrize(
        ("application", "said"),
        [
            (Recorder(), "services are registered with WebSocket.register(service, on_path)"),
            (Recorder, "services are registered with WebSocket.register(service, on_path)"),
            (ServiceRegistry(), "services are registered"),
            ("app", "must be a WSGI application or None, not 'app'"),
            (asgi, "not an ASGI one"),
            (ASGI(), "not an ASGI one"),
            (lambda environ: [], "cannot take its arguments: a WSGI application is called as"),
            (OldASGI, "cannot take its arguments"),
        ],
    )
    def test_the_application_must_be_a_wsgi_application(self, application: Any, said: str) -> None:
        with pytest.raises(TypeError, match=re.escape(said)):
            WebSocketServer(("127.0.0.1", 0), application)

    @pytest.mark.parametrize(
        ("name", "value", "error", "said"),
        [
            ("spawn", None, TypeError, "a callable, a pool or a number of greenlets, not None"),
            ("spawn", "thread", TypeError, "a callable, a pool or a number of greenlets, not 'thread'"),
            ("spawn", 0, ValueError, "spawn must be at least 1"),
            ("backlog", "100", TypeError, "a number of connections or None, not '100'"),
        ],
    )
    def test_gevents_arguments_are_checked_too(
        self, name: str, value: Any, error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            WebSocketServer(("127.0.0.1", 0), **{name: value})


# What is said


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_the_server_logs_where_it_listens_and_that_it_stopped(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve()
    site.server.stop()
    messages = [record.getMessage() for record in caplog.records if record.name == "geventkws.server"]
    where = f"port {site.port} of 127.0.0.1"
    assert messages == [f"Listening on {where}: ws and http, {BACKEND} backend", "Stopped"]


def test_the_start_mentions_tls(
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
def test_the_start_says_where(listener: Any, where: str, caplog: pytest.LogCaptureFixture) -> None:
    if "@" in listener and sys.platform != "linux":
        pytest.skip("only Linux has abstract names")
    server = WebSocketServer(listener)
    server.start()
    server.stop()
    assert re.fullmatch(rf"Listening on {where}: ws and http, {BACKEND} backend", caplog.messages[0])


@pytest.mark.once
@pytest.mark.parametrize(
    ("logs", "count"),
    [
        ("", 1),
        ("logging.basicConfig(level=logging.INFO)", 1),
        ("logging.basicConfig()", 0),
        ("logging.getLogger('geventkws').addHandler(logging.NullHandler())", 0),
    ],
)
def test_the_start_is_announced_on_stderr_if_no_log_is_configured(logs: str, count: int) -> None:
    errors = run_program(f"{PATCH}import logging\n{logs}\n{START}")
    assert len(re.findall(r"Listening on port \d+ of 127\.0\.0\.1: ws and http", errors)) == count


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
    ).stderr


PATCH = "from gevent import monkey; monkey.patch_all()\n"
MENDED_BY = "from gevent import monkey\n    monkey.patch_all()"


@pytest.mark.once
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (START + START, "sockets are not patched for gevent"),
        ("from time import sleep\n" + PATCH + START + START, "too late: __main__.sleep (time.sleep) had"),
        (
            "from socket import socket, getaddrinfo as look_up\n" + PATCH + START,
            "too late: __main__.socket (socket.socket) and 1 more had been imported before",
        ),
        (
            "import sys; from time import sleep; sys.modules['__mp_main__'] = sys.modules['__main__']\n"
            + PATCH
            + START,
            "too late: __main__.sleep (time.sleep) had been imported",
        ),
    ],
)
def test_a_mistake_in_patching_is_reported_once_with_the_lines_that_fix_it(program: str, said: str) -> None:
    errors = run_program(program)
    assert said in errors
    assert errors.count(MENDED_BY) == 1


@pytest.mark.once
@pytest.mark.parametrize(
    "program",
    [
        PATCH + START,
        PATCH + "from time import sleep\nfrom socket import socket\n" + START,
        "import time, socket, select, subprocess\n" + PATCH + START,
    ],
)
def test_a_program_that_patches_in_time_gets_no_warning(program: str) -> None:
    assert "gevent import monkey" not in run_program(program)
