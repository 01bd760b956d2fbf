"""The answer to an upload that nobody reads reaches the client, even if it is large, and through proxies."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from geventkws import ServiceRegistry, WebSocketServer
from tests.certificates import HOST, Certificates
from tests.clients.proxies import PROXIES, proxy
from tests.helpers import require_program
from tests.waiting import PATIENCE

MEBI = 1024 * 1024
LIMIT = 200 * MEBI
REASON = "Log in first"


def unauthorized(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("401 Unauthorized", [("Content-Type", "text/plain")])
    return [REASON.encode()]


@pytest.fixture(scope="module", params=["direct", *PROXIES])
def port(
    request: pytest.FixtureRequest, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port to connect to: the server's own, or that of a proxy in front of it."""
    server = WebSocketServer((HOST, 0), unauthorized, ServiceRegistry(), max_body_size=LIMIT)
    server.start()
    assert server.server_port
    try:
        if request.param == "direct":
            yield server.server_port
        else:
            directory = tmp_path_factory.mktemp(request.param)
            with proxy(request.param, directory, "ws", certificates, server.server_port) as address:
                yield int(address.rpartition(":")[2])
    finally:
        server.stop()


def by_http_client(port: int, size: int, directory: Path) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    connection.request("POST", "/", body=bytes(size))
    with connection.getresponse() as response:
        answer = response.status, response.read().decode()
    connection.close()
    return answer


def by_requests(port: int, size: int, directory: Path) -> tuple[int, str]:
    with requests.post(f"http://{HOST}:{port}/", data=bytes(size), timeout=PATIENCE) as response:
        return response.status_code, response.text


def by_curl(port: int, size: int, directory: Path) -> tuple[int, str]:
    upload = directory / "upload"
    with upload.open("wb") as file:
        file.truncate(size)
    command = (require_program("curl"), "--silent", "--show-error", "--data-binary", f"@{upload}")
    done = subprocess.run(
        [*command, "--write-out", " %{http_code}", f"http://{HOST}:{port}/"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert not done.returncode, done.stderr
    text, _, status = done.stdout.rpartition(" ")
    return int(status), text


@pytest.mark.parametrize("size", [1, 10, 100])
@pytest.mark.parametrize("ask", [by_http_client, by_requests, by_curl])
def test_a_refused_upload_gets_its_answer(
    ask: Callable[[int, int, Path], tuple[int, str]], size: int, port: int, tmp_path: Path
) -> None:
    with gevent.Timeout(2 * PATIENCE):
        assert ask(port, size * MEBI, tmp_path) == (401, REASON)


def test_an_upload_over_the_limit_gets_its_answer(port: int, tmp_path: Path) -> None:
    with gevent.Timeout(2 * PATIENCE):
        assert by_http_client(port, LIMIT + 1, tmp_path)[0] == 413
