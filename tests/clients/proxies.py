"""Real reverse proxies in front of the server, configured for WebSocket as in their manuals."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import gevent

from tests.certificates import HOST, Certificates
from tests.clients.browsers import process
from tests.clients.ground import IDLE_TIMEOUT, Scheme
from tests.helpers import free_port, require_program
from tests.tls import connected_socket
from tests.waiting import PATIENCE

IDLE = IDLE_TIMEOUT * 1.5
"""Seconds after which a proxy closes a connection on which nothing moves in either direction."""

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen {listen};
        ssl_certificate {bothfile};
        ssl_certificate_key {bothfile};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout {idle}ms;
            proxy_send_timeout {idle}ms;
        }}
    }}
}}
"""

HAPROXY = """
global
    log stderr format raw local0 warning
defaults
    log global
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    timeout tunnel {idle}ms
frontend clients
    bind {listen}
    option forwardfor
    http-request set-header X-Forwarded-Proto {forwarded}
    default_backend servers
backend servers
    server first 127.0.0.1:{upstream}
"""


def nginx(directory: Path, scheme: Scheme, bothfile: str, port: int, upstream: int) -> Sequence[str]:
    program = require_program("nginx", "/usr/sbin/nginx")
    configuration = directory / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            directory=directory,
            user="user root;" if os.geteuid() == 0 else "",  # otherwise it would lose the right to read
            listen=f"{HOST}:{port}" + (" ssl" if scheme == "wss" else ""),
            bothfile=bothfile,
            upstream=upstream,
            idle=round(IDLE * 1000),
        )
    )
    return (program, "-e", "stderr", "-p", str(directory), "-c", str(configuration))


def haproxy(directory: Path, scheme: Scheme, bothfile: str, port: int, upstream: int) -> Sequence[str]:
    program = require_program("haproxy", "/usr/sbin/haproxy")
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        HAPROXY.format(
            listen=f"{HOST}:{port}" + (f" ssl crt {bothfile} alpn http/1.1" if scheme == "wss" else ""),
            forwarded="https" if scheme == "wss" else "http",
            upstream=upstream,
            idle=round(IDLE * 1000),
        )
    )
    return (program, "-db", "-f", str(configuration))


PROXIES: dict[str, Callable[[Path, Scheme, str, int, int], Sequence[str]]] = {
    "nginx": nginx,
    "haproxy": haproxy,
}
"""How to start each: with a directory of its own, who connects to it, certificate and key, and two ports."""


@contextmanager
def proxy(
    name: str, directory: Path, scheme: Scheme, certificates: Certificates, upstream: int
) -> Iterator[str]:
    """Run a proxy in front of a plain server's port, and yield its address."""
    port = free_port()
    command = PROXIES[name](directory, scheme, certificates.bothfile, port, upstream)
    with process(*command, directory=directory) as running:
        try:
            wait_until_it_listens(running, port)
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"{name} did not start: {(directory / 'output.txt').read_text()}") from error
        yield f"{scheme}://{HOST}:{port}"


def wait_until_it_listens(running: Popen[bytes], port: int) -> None:
    with gevent.Timeout(PATIENCE, TimeoutError()):
        while True:
            assert running.poll() is None
            try:
                connected_socket(port).close()
            except ConnectionRefusedError:
                gevent.sleep(0.02)
            else:
                return
