"""What is measured: the peers and the workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.peers.http_app import FILE_PATH

Kind = Literal["load", "idle", "http"]
"""How a workload is measured: by the load generator, by memory, by wrk."""

MIB = 1 << 20


@dataclass(frozen=True)
class Workload:
    """Something that servers do, and how the load generator is asked for it."""

    name: str
    title: str
    kind: Kind
    arguments: tuple[str, ...]
    """Of the load generator; for ``http``, the path, and then arguments of wrk."""
    tls: bool = False
    bulk: bool = False
    """Whether the bytes a second are told too; for ``http``."""
    deflate: bool = False
    """Whether servers and load generator compress; for ``load``, and of it only echo."""


@dataclass(frozen=True)
class Peer:
    """A server: a program in ``peers/`` and its environment variables."""

    name: str
    title: str
    module: str
    distributions: tuple[str, ...]
    """The distributions whose versions matter."""
    websocket: bool = True
    http: bool = False
    deflate: bool = False
    """Whether it is measured with compressed messages too."""
    environment: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    """The names of the workloads it is measured with, if these are not all of its kind."""

    def does(self, workload: Workload) -> bool:
        """Whether this peer is measured with this workload."""
        if self.only:
            return workload.name in self.only
        if workload.deflate:
            return self.deflate
        return self.http if workload.kind == "http" else self.websocket


def _echo(name: str, title: str, *arguments: str, tls: bool = False, deflate: bool = False) -> Workload:
    return Workload(name, title, "load", ("echo", *arguments), tls, deflate=deflate)


_DEFLATE = (
    _echo(
        "echo-deflate-1k",
        "Echo, 1 KiB of JSON, compressed, 100 connections",
        "--size=1024",
        deflate=True,
    ),
    _echo(
        "echo-deflate-16k",
        "Echo, 16 KiB of JSON, compressed, 100 connections",
        "--size=16384",
        deflate=True,
    ),
)


WORKLOADS = (
    _echo("echo-64", "Echo, 64 B, 100 connections", "--size=64"),
    _echo("echo-64-deep", "Echo, 64 B, 100 connections, 16 in flight on each", "--size=64", "--depth=16"),
    _echo("echo-text", "Echo, 64 B of text with non-ASCII, 100 connections", "--size=64", "--text"),
    _echo("echo-16k", "Echo, 16 KiB, 100 connections", "--size=16384"),
    _echo("echo-1m", "Echo, 1 MiB, 10 connections", f"--size={MIB}", "--connections=10"),
    _echo("echo-tls", "Echo, 64 B over TLS, 100 connections", "--size=64", tls=True),
    *_DEFLATE,
    Workload("fanout", "Fan-out of 64 B to 1,000 receivers", "load", ("fanout", "--connections=1000")),
    Workload(
        "fanout-4",
        "Fan-out of 64 B to 1,000 receivers, 4 in flight",
        "load",
        ("fanout", "--connections=1000", "--depth=4"),
    ),
    Workload(
        "handshakes",
        "Connect, upgrade, close; 32 at once",
        "load",
        ("handshakes", "--connections=32"),
    ),
    Workload("idle", "10,000 idle connections, a browser's headers", "idle", ("--connections=10000",)),
    Workload("idle-tls", "1,000 idle connections over TLS", "idle", ("--connections=1000",), tls=True),
    Workload("http-hello", "HTTP, 13 B, 50 keep-alive connections", "http", ("/hello",)),
    Workload(
        "http-close",
        "HTTP, 13 B, 50 at once, a connection for each request",
        "http",
        ("/hello", "-H", "Connection: close"),
    ),
    Workload("http-json", "HTTP, 10 KiB of JSON, 50 keep-alive connections", "http", ("/json",)),
    Workload(
        "http-file", "HTTP, a file of 1 MiB, 50 keep-alive connections", "http", (FILE_PATH,), bulk=True
    ),
    Workload("http-upload", "HTTP, POST of 10 KiB, 50 keep-alive connections", "http", ("/upload",)),
)

_GEVENTKWS = ("geventkws", "gevent", "httptools")

PEERS = (
    Peer("geventkws", "geventkws", "geventkws", _GEVENTKWS, http=True, deflate=True),
    Peer(
        "geventkws-pure",
        "geventkws, pure Python",
        "geventkws",
        _GEVENTKWS,
        http=True,
        deflate=True,
        environment={"GEVENTKWS_PURE": "1"},
    ),
    Peer(
        "geventkws-libuv",
        "geventkws on libuv",
        "geventkws",
        _GEVENTKWS,
        deflate=True,
        environment={"GEVENT_LOOP": "libuv"},
    ),
    Peer("socketify", "socketify (uWebSockets)", "socketify", ("socketify",), deflate=True),
    Peer("picows", "picows, uvloop", "picows", ("picows", "uvloop")),
    Peer(
        "picows-websockets",
        "picows.websockets, uvloop",
        "picows_websockets",
        ("picows", "uvloop"),
        only=tuple(workload.name for workload in _DEFLATE),
    ),
    Peer("aiohttp", "aiohttp, uvloop", "aiohttp", ("aiohttp", "uvloop"), deflate=True),
    Peer("websockets", "websockets, uvloop", "websockets", ("websockets", "uvloop"), deflate=True),
    Peer(
        "uvicorn",
        "uvicorn, uvloop",
        "uvicorn",
        ("uvicorn", "uvloop", "httptools", "websockets"),
        http=True,
        deflate=True,
    ),
    Peer("gevent-websocket", "gevent-websocket", "gevent_websocket", ("gevent-websocket", "gevent")),
    Peer(
        "flask-sock",
        "flask-sock, gunicorn gevent",
        "flask_sock",
        ("flask-sock", "gunicorn", "gevent"),
        deflate=True,
    ),
    Peer("pywsgi", "gevent pywsgi", "pywsgi", ("gevent",), websocket=False, http=True),
    Peer(
        "gunicorn-gevent",
        "gunicorn, gevent",
        "gunicorn",
        ("gunicorn", "gunicorn_h1c", "gevent"),
        websocket=False,
        http=True,
        environment={"GUNICORN_CMD_ARGS": "--worker-class=gevent"},
    ),
    Peer(
        "gunicorn-gthread",
        "gunicorn, gthread",
        "gunicorn",
        ("gunicorn", "gunicorn_h1c"),
        websocket=False,
        http=True,
        environment={"GUNICORN_CMD_ARGS": "--worker-class=gthread --threads=8"},
    ),
    Peer("waitress", "waitress", "waitress", ("waitress",), websocket=False, http=True),
    Peer("granian", "granian (WSGI)", "granian", ("granian",), websocket=False, http=True),
    Peer(
        "granian-static",
        "granian, without WSGI",
        "granian_static",
        ("granian",),
        websocket=False,
        only=("http-file",),
    ),
)
