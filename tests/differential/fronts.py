"""Proxies in front of our server that number what they pass on, and log it.

Each puts into ``X-Passed-On`` the port of the client, a hyphen, and what tells this request from all others.
Both are told to be as lenient as they can be: what they would refuse tells nothing of us.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.certificates import HOST
from tests.clients.browsers import process
from tests.clients.proxies import wait_until_it_listens
from tests.helpers import free_port, require_program

NUMBER = re.compile("[0-9]+(-[0-9]+)+")
"""What a proxy puts into ``X-Passed-On``: no mutant has that field, so whatever has it was passed on."""
WAIT = 1
"""Seconds that a proxy waits for its client."""
LONGER = 3
"""Seconds that it waits for us."""

_NGINX = """
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    log_format passed_on escape=json '["$remote_port-$connection-$connection_requests",'
        '"$upstream_status","$upstream_http_x_read"]';
    access_log {directory}/passed_on passed_on;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ignore_invalid_headers off;
    underscores_in_headers on;
    merge_slashes off;
    keepalive_timeout {wait}s;
    client_header_timeout {wait}s;
    client_body_timeout {wait}s;
    lingering_timeout {wait}s;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream ours {{ server {host}:{upstream}; keepalive 8; }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://ours;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_next_upstream off;
            proxy_read_timeout {longer}s;
            proxy_set_header X-Passed-On $remote_port-$connection-$connection_requests;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""

_HAPROXY = """
global
    log stdout format raw local0
    maxconn 1024
defaults
    mode http
    log global
    option accept-invalid-http-request
    http-reuse always
    retries 0
    timeout connect {longer}s
    timeout client {wait}s
    timeout http-request {wait}s
    timeout http-keep-alive {wait}s
    timeout server {longer}s
    timeout tunnel {wait}s
    unique-id-format %cp-%rt
    log-format '["%ID","%ST %ts","%[var(txn.read)]"]'
frontend clients
    bind {host}:{port}
    unique-id-header X-Passed-On
    http-response set-var(txn.read) res.hdr(X-Read)
    default_backend servers
backend servers
    server ours {host}:{upstream}
"""


class Entry(NamedTuple):
    """A line of a proxy's log: what it has passed on, how that went, and the ``X-Read`` of the answer."""

    passed_on: str
    status: str
    read: str


class Front(NamedTuple):
    """A proxy that runs, and the file in which it logs."""

    name: str
    port: int
    log: Path

    def entries(self) -> list[Entry]:
        """Return what it has logged so far."""
        lines = self.log.read_text("latin-1").splitlines()
        return [Entry(*json.loads(line)) for line in lines if line.startswith('["')]


def _nginx(directory: Path, port: int, upstream: int) -> tuple[list[str], Path]:
    program = require_program("nginx", "/usr/sbin/nginx")
    user = "user root;" if os.geteuid() == 0 else ""
    _write(directory / "nginx.conf", _NGINX, user=user, directory=directory, port=port, upstream=upstream)
    command = [program, "-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    return command, directory / "passed_on"


def _haproxy(directory: Path, port: int, upstream: int) -> tuple[list[str], Path]:
    program = require_program("haproxy", "/usr/sbin/haproxy")
    _write(directory / "haproxy.cfg", _HAPROXY, port=port, upstream=upstream)
    return [program, "-db", "-f", str(directory / "haproxy.cfg")], directory / "output.txt"


def _write(path: Path, configuration: str, **values: object) -> None:
    path.write_text(configuration.format(host=HOST, wait=WAIT, longer=LONGER, **values))


FRONTS = {"nginx": _nginx, "haproxy": _haproxy}


@contextmanager
def front(name: str, directory: Path, upstream: int) -> Iterator[Front]:
    """Run a proxy in front of the server at the port ``upstream``."""
    directory.mkdir()
    port = free_port()
    command, log = FRONTS[name](directory, port, upstream)
    with process(*command, directory=directory) as started:
        try:
            wait_until_it_listens(started, port)
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"{name} did not start: {(directory / 'output.txt').read_text()}") from error
        yield Front(name, port, log)
