"""What is measured: the peers and the workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from benchmarks.peers.http_app import FILE_PATH, ITEM_TARGET, UPLOAD_PATH, UPLOAD_SIZE

Kind = Literal["load", "idle", "http", "http-idle", "subscriptions", "resubscribe"]
"""How a workload is measured: by the load generator, by memory, by wrk, by memory of HTTP connections; by the
memory of subscriptions, by the time until all channels are subscribed again."""

MIB = 1 << 20
ITEM_COUNT = 10_000
"""The number of targets of ``http-paths``, which are requested in turn."""

BROWSER = (
    "Connection: keep-alive",
    "Cache-Control: max-age=0",
    'sec-ch-ua: "Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Sec-Fetch-Dest: document",
    "Referer: http://127.0.0.1/items/1024?page=2&sort=name",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7",
    "Cookie: session=eyJfaWQiOiI2YzJkNGU4YTFiM2Y0ZDVlIiwidXNlciI6IjEwMjQifQ"
    ".Z0CkVw.9bQm3vJx0yT5h2LrWnUqE8sKdPo; theme=dark; locale=en_GB; consent=necessary+preferences; "
    "tz=Europe%2FLondon",
    'If-None-Match: "5f2b-61c0a7d3e4f80"',
    "If-Modified-Since: Tue, 26 Nov 2024 08:12:31 GMT",
    "Priority: u=0, i",
)
"""The header fields of a browser that reloads a page; with ``Host`` there are 20."""


@dataclass(frozen=True)
class Workload:
    """Something that servers do, and how to ask the load generator for it."""

    name: str
    title: str
    kind: Kind
    arguments: tuple[str, ...]
    """The arguments of the load generator; for ``http``, the path and the arguments of ``wrk.lua``."""
    tls: bool = False
    bulk: bool = False
    """Whether bytes per second are reported too; for ``http``."""
    deflate: bool = False
    """Whether servers and load generator compress; for ``load``, and there only for echo."""
    fields: tuple[str, ...] = ()
    """Header fields of every request besides ``Host``; for HTTP."""
    flask: bool = False
    """Whether the servers run the Flask application; for HTTP."""
    workers: int = 0
    """How many processes of the server share channels over Redis; 0 for one process, without channels."""
    path: str = "/channel"
    """The path of the connections; for channels."""

    @property
    def over_http(self) -> bool:
        """Whether it is for HTTP servers, not for WebSocket servers."""
        return self.kind in ("http", "http-idle")

    @property
    def flags(self) -> tuple[str, ...]:
        """The command-line flags of a server for this workload."""
        wanted = {"--deflate": self.deflate, "--flask": self.flask, "--patient": self.kind == "http-idle"}
        return tuple(flag for flag, is_wanted in wanted.items() if is_wanted)


@dataclass(frozen=True)
class Peer:
    """A server: a program in ``peers/`` and its environment variables."""

    name: str
    title: str
    module: str
    distributions: tuple[str, ...]
    """The distributions whose versions are reported."""
    websocket: bool = True
    http: bool = False
    deflate: bool = False
    """Whether it is also measured with compressed messages."""
    environment: Mapping[str, str] = field(default_factory=dict)
    channels: str = ""
    """Its program for the channel workloads; empty if it has none."""
    socketio: bool = False
    """Whether its channels speak Socket.IO."""
    only: tuple[str, ...] = ()
    """The names of the workloads that it is measured with, if not all of its kind."""

    def does(self, workload: Workload) -> bool:
        """Whether this peer is measured with this workload."""
        if self.only:
            return workload.name in self.only
        if workload in _SOCKETIO:
            return False
        if workload.workers:
            return bool(self.channels)
        if workload.deflate:
            return self.deflate
        return self.http if workload.over_http else self.websocket


def _echo(name: str, title: str, *arguments: str, tls: bool = False, deflate: bool = False) -> Workload:
    return Workload(name, title, "load", ("echo", *arguments), tls, deflate=deflate)


def _http(
    name: str,
    title: str,
    *arguments: str,
    fields: tuple[str, ...] = (),
    flask: bool = False,
    bulk: bool = False,
) -> Workload:
    return Workload(name, f"HTTP, {title}", "http", arguments, bulk=bulk, fields=fields, flask=flask)


def _http_idle(name: str, title: str) -> Workload:
    return Workload(name, title, "http-idle", (name, "--connections=5000"), fields=BROWSER)


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

SUBSCRIPTIONS = 100
"""How many channels each connection subscribes to where the cost of subscriptions is measured."""


def _channels(count: int) -> Workload:
    name = f"channels-{count}"
    title = f"{count * 1000:,} receivers of one channel over Redis, 4 in flight; "
    title += "1 process" if count == 1 else f"{count} processes"
    return Workload(
        name, title, "load", ("fanout", f"--connections={count * 1000}", "--depth=4"), workers=count
    )


_CHANNELS = (
    *map(_channels, (1, 2, 4)),
    Workload(
        "channels-publish",
        "Publish over Redis, from 50 connections at once",
        "load",
        ("echo", "--connections=50"),
        workers=1,
        path="/publish",
    ),
    Workload(
        "channels-memory",
        "Memory of 100,000 subscriptions, each to a channel of its own",
        "subscriptions",
        ("idle", "--connections=1000"),
        workers=1,
    ),
)
_RESUBSCRIBE = Workload(
    "channels-again",
    "Subscribe again to 100,000 channels, after Redis has cut the connection",
    "resubscribe",
    ("idle", "--connections=1000"),
    workers=1,
)


_SOCKETIO_OPENING = ("--socketio", "--path=/socket.io/?EIO=4&transport=websocket")
_SOCKETIO = (
    _echo(
        "echo-socketio", "Socket.IO: events of 64 B and their answers, 100 connections", *_SOCKETIO_OPENING
    ),
    Workload(
        "idle-socketio",
        "1,000 idle connections of Socket.IO, a browser's headers",
        "idle",
        ("idle", "--connections=1000", *_SOCKETIO_OPENING),
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
    *_SOCKETIO,
    *_CHANNELS,
    _RESUBSCRIBE,
    Workload("idle", "10,000 idle connections, a browser's headers", "idle", ("idle", "--connections=10000")),
    Workload("idle-tls", "1,000 idle connections over TLS", "idle", ("idle", "--connections=1000"), tls=True),
    _http("http-hello", "13 B, 50 keep-alive connections", "/hello"),
    _http(
        "http-browser",
        "13 B for a browser's 20 header fields, 50 keep-alive connections",
        "/hello",
        fields=BROWSER,
    ),
    _http(
        "http-paths",
        f"another one of {ITEM_COUNT:,} paths each time, 50 keep-alive connections",
        ITEM_TARGET,
        "paths",
        str(ITEM_COUNT),
    ),
    _http("http-flask", "13 B by Flask, 50 keep-alive connections", "/hello", flask=True),
    _http(
        "http-close",
        "13 B, 50 at once, a connection for each request",
        "/hello",
        fields=("Connection: close",),
    ),
    _http("http-json-4k", "4 KiB of JSON, 50 keep-alive connections", "/json-4k"),
    _http("http-json", "10 KiB of JSON, 50 keep-alive connections", "/json"),
    _http("http-file", "a file of 1 MiB, 50 keep-alive connections", FILE_PATH, bulk=True),
    _http(
        "http-upload", "POST of 10 KiB, 50 keep-alive connections", UPLOAD_PATH, "upload", str(UPLOAD_SIZE)
    ),
    _http_idle("idle-http", "5,000 idle HTTP connections, each with a browser's request answered"),
    _http_idle("idle-http-silent", "5,000 HTTP connections on which nothing was sent"),
    _http_idle("idle-http-head", "5,000 HTTP connections with half of a browser's request head sent"),
)

_GEVENTKWS = ("geventkws", "gevent", "httptools")
_DJANGO_CHANNELS = (
    "channels",
    "channels_redis",
    "django",
    "uvicorn",
    "uvloop",
    "websockets",
    "redis",
    "hiredis",
)

_MOVABLE = ("echo-64", "handshakes", "idle")


def _moved(name: str, title: str, module: str, *only: str, installed: bool = False) -> Peer:
    """Return an application written for another server, on geventkws; with ``install`` if ``installed``."""
    return Peer(
        f"{name}-{'installed' if installed else 'moved'}",
        f"{title}, on geventkws{', install()' if installed else ''}",
        "moved",
        (name, *_GEVENTKWS),
        environment={"APPLICATION": f"benchmarks.peers.{module}", "INSTALL": "1" if installed else ""},
        only=only,
    )


_FLASK_SOCK = ("flask-sock", "flask-sock", "flask_sock:app", *_MOVABLE)
_FLASK_SOCKETIO = (
    "flask-socketio",
    "Flask-SocketIO",
    "socketio_echo:app",
    *(each.name for each in _SOCKETIO),
)

PEERS = (
    Peer(
        "geventkws",
        "geventkws",
        "geventkws",
        (*_GEVENTKWS, "redis", "hiredis"),
        http=True,
        deflate=True,
        channels="geventkws_channels",
    ),
    Peer(
        "geventkws-pure",
        "geventkws, pure Python",
        "geventkws",
        _GEVENTKWS,
        http=True,
        deflate=True,
        channels="geventkws_channels",
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
        environment={"GUNICORN_CMD_ARGS": "--worker-class=gevent"},
    ),
    # Applications written for other servers, on those and on geventkws: the pages "Coming from ...".
    _moved("gevent-websocket", "gevent-websocket", "gevent_websocket:application", *_MOVABLE),
    _moved(*_FLASK_SOCK),
    _moved(*_FLASK_SOCK, installed=True),
    Peer(
        "socketio-echo",
        "Flask-SocketIO, gevent-websocket",
        "socketio_echo",
        ("flask-socketio", "gevent-websocket", "gevent"),
        only=tuple(each.name for each in _SOCKETIO),
    ),
    _moved(*_FLASK_SOCKETIO),
    _moved(*_FLASK_SOCKETIO, installed=True),
    Peer("uwsgi", "uWSGI, gevent", "uwsgi", ("uwsgi", "gevent"), only=_MOVABLE),
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
        environment={"GUNICORN_CMD_ARGS": "--worker-class=gthread --threads=1"},
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
    Peer(
        "flask-socketio",
        "Flask-SocketIO, gevent",
        "flask_socketio",
        ("flask-socketio", "python-socketio", "gevent", "gevent-websocket", "redis", "hiredis"),
        channels="flask_socketio",
        socketio=True,
        only=tuple(workload.name for workload in _CHANNELS),
    ),
    Peer(
        "channels-core",
        "Django Channels, core layer",
        "django_channels",
        _DJANGO_CHANNELS,
        channels="django_channels",
        environment={"CHANNEL_LAYER": "channels_redis.core.RedisChannelLayer"},
        only=tuple(workload.name for workload in _CHANNELS),
    ),
    Peer(
        "channels-pubsub",
        "Django Channels, Pub/Sub layer",
        "django_channels",
        _DJANGO_CHANNELS,
        channels="django_channels",
        environment={"CHANNEL_LAYER": "channels_redis.pubsub.RedisPubSubChannelLayer"},
        only=tuple(workload.name for workload in (*_CHANNELS, _RESUBSCRIBE)),
    ),
)

BEFORE = Peer(
    "geventkws-before",
    "geventkws, before",
    "geventkws_before",
    ("gevent", "httptools"),
    http=True,
    deflate=True,
    channels="geventkws_before",
)
"""geventkws from another checkout, to compare with: see ``of_checkout``."""

_TITLES = {peer.name: peer.title for peer in (*PEERS, BEFORE)}


def of_checkout(checkout: Path) -> Peer:
    """Return the geventkws of another checkout as a peer; its extensions must be built in place."""
    return replace(BEFORE, environment={"PYTHONPATH": str(checkout)})


def title_of(peer: str) -> str:
    """Return the title of the peer with this name."""
    return _TITLES.get(peer, peer)
