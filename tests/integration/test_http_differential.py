"""The corpus against gunicorn and through nginx: where they differ, the corpus says why we are right."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import gevent
import pytest
from gevent.pool import Pool

from geventkws import ServiceRegistry, WebSocketServer
from tests.helpers import free_port, require_program
from tests.http.cases import CASES, Case
from tests.http.exchange import converse, statuses
from tests.integration.conftest import Recorder
from tests.programs import ROOT
from tests.waiting import PATIENCE

AT_ONCE = 40

NGINX_CONFIGURATION = """
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    log_format passed_on escape=json '["$request_method", "$request_uri", "$upstream_status"]';
    access_log {directory}/access.log passed_on;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_timeout 1s;
    client_header_timeout 1s;
    client_body_timeout 1s;
    lingering_timeout 1s;
    proxy_read_timeout 1s;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream app {{ server 127.0.0.1:{upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


def connect_to(port: int) -> Callable[[], socket.socket]:
    return lambda: socket.create_connection(("127.0.0.1", port), PATIENCE)


def wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    with gevent.Timeout(PATIENCE):
        while True:
            assert process.returncode is None, "the server did not start"
            with suppress(ConnectionRefusedError), connect_to(port)():
                return
            gevent.sleep(0.05)


def kinds(answers: list[int]) -> list[str]:
    """Return which answers are refusals; their status does not matter here."""
    return ["refused" if status >= 400 else "answered" for status in answers]


def check_differences(program: str, differing: set[Case]) -> None:
    """Check that the corpus explains every difference."""
    untold = {str(case) for case in differing if program not in case.differs}
    assert not untold, f"the corpus does not say why {program} differs in these"


class Other(NamedTuple):
    """Another server, and the file with the requests that its application has seen."""

    port: int
    seen: Path


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Other]:
    if importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    port, seen = free_port(), tmp_path / "seen"
    seen.touch()
    options = "--worker-class=gthread --threads=2 --keep-alive=1 --log-level=critical"
    command = [sys.executable, "-m", "gunicorn", *options.split(), f"--bind=127.0.0.1:{port}"]
    environment = {**os.environ, "SEEN_FILE": str(seen)}
    process = subprocess.Popen([*command, "tests.http.seen_app:application"], cwd=ROOT, env=environment)
    try:
        wait_for(process, port)
        yield Other(port, seen)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_where_gunicorn_differs_the_corpus_says_why(gunicorn: Other) -> None:
    differing = set()
    for case in CASES:
        gunicorn.seen.write_text("")
        _, received = converse(connect_to(gunicorn.port), [case.data])
        # Its refusals go through textwrap.dedent, which turns an empty line into a bare LF since Python 3.14.
        answers = statuses(received.replace(b"\r\n\n", b"\r\n\r\n"))
        seen = [json.loads(line) for line in gunicorn.seen.read_text().splitlines()]
        if kinds(answers) != kinds(case.answers) or seen != case.requests:
            differing.add(case)
    check_differences("gunicorn", differing)


class Proxied(NamedTuple):
    """Our server behind nginx, what its application saw, and what nginx says it passed on."""

    port: int
    seen: list[tuple[str, str]]
    log: Path


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Proxied]:
    program = require_program("nginx", "/usr/sbin/nginx")
    seen: list[tuple[str, str]] = []

    def application(environ, start_response):
        environ["wsgi.input"].read()
        seen.append((environ["REQUEST_METHOD"], environ["REQUEST_URI"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"seen"]

    services = ServiceRegistry()
    services.register(Recorder(), "chat")
    server = WebSocketServer(("127.0.0.1", 0), application, services)
    server.start()
    port = free_port()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        NGINX_CONFIGURATION.format(
            directory=tmp_path,
            upstream=server.server_port,
            port=port,
            user="user root;" if os.geteuid() == 0 else "",
        )
    )
    command = [program, "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(configuration)]
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        wait_for(process, port)
        yield Proxied(port, seen, tmp_path / "access.log")
    finally:
        process.terminate()
        process.wait(PATIENCE)
        server.stop(timeout=1)


def test_behind_nginx_we_see_the_requests_that_it_passes_on_and_no_others(nginx: Proxied) -> None:
    def send(case: Case) -> tuple[Case, list[int]]:
        return case, converse(connect_to(nginx.port), [case.data], half_close=False)[0]

    answers = dict(Pool(AT_ONCE).imap_unordered(send, CASES))
    differing = {case for case in CASES if kinds(answers[case]) != kinds(case.answers)}
    lines = [json.loads(line) for line in nginx.log.read_text("latin-1").splitlines()]
    # What nginx passed on and our application answered: refusals and upgrades do not reach the application.
    passed_on = Counter((method, target) for method, target, status in lines if status == "200")
    assert Counter(nginx.seen) == passed_on
    check_differences("nginx", differing)
