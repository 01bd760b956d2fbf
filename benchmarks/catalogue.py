"""The servers that are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.workloads import CHANNELS, DEFLATE, FANOUT_10K, RESUBSCRIBE, SOCKETIO, Workload


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
    opening: tuple[str, ...] = ()
    """How the load generator begins its connections, as arguments, if not as those of all others."""
    only: tuple[str, ...] = ()
    """The names of the workloads that it is measured with, if not all of its kind."""

    def does(self, workload: Workload) -> bool:
        """Whether this peer is measured with this workload."""
        if self.only:
            return workload.name in self.only
        if workload in SOCKETIO:
            return False
        if workload is FANOUT_10K:
            return self.name in (PEERS[0].name, BEFORE.name)
        if workload.workers:
            return bool(self.channels)
        if workload.deflate:
            return self.deflate
        return self.http if workload.over_http else self.websocket


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


def _centrifuge(codec: str, title: str, kept: bool = False) -> Peer:
    """Return the service for clients of the Centrifuge protocol that speak this format."""
    name, query = codec, "cf_ws_frame_ping_pong=true"
    if codec == "protobuf":
        query += "&cf_protocol=protobuf"
    if kept:
        name, title = f"{name}-kept", f"{title}, with history and presence"
    return Peer(
        f"centrifuge-{name}",
        f"geventkws, Centrifuge in {title}",
        "geventkws_centrifuge",
        (*_GEVENTKWS, "protobuf"),
        environment={"KEPT": "1" if kept else ""},
        opening=(f"--centrifuge={codec}", f"--path=/centrifuge?{query}"),
        only=("idle",) if kept else (FANOUT_10K.name, "idle"),  # with a history, no two messages are alike
    )


_FLASK_SOCK = ("flask-sock", "flask-sock", "flask_sock:app", *_MOVABLE)
_FLASK_SOCKETIO = (
    "flask-socketio",
    "Flask-SocketIO",
    "socketio_echo:app",
    *(each.name for each in SOCKETIO),
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
        only=tuple(workload.name for workload in DEFLATE),
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
        only=tuple(each.name for each in SOCKETIO),
    ),
    _moved(*_FLASK_SOCKETIO),
    _moved(*_FLASK_SOCKETIO, installed=True),
    _centrifuge("json", "JSON"),
    _centrifuge("protobuf", "Protobuf"),
    _centrifuge("json", "JSON", kept=True),
    _centrifuge("protobuf", "Protobuf", kept=True),
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
        only=tuple(workload.name for workload in CHANNELS),
    ),
    Peer(
        "channels-core",
        "Django Channels, core layer",
        "django_channels",
        _DJANGO_CHANNELS,
        channels="django_channels",
        environment={"CHANNEL_LAYER": "channels_redis.core.RedisChannelLayer"},
        only=tuple(workload.name for workload in CHANNELS),
    ),
    Peer(
        "channels-pubsub",
        "Django Channels, Pub/Sub layer",
        "django_channels",
        _DJANGO_CHANNELS,
        channels="django_channels",
        environment={"CHANNEL_LAYER": "channels_redis.pubsub.RedisPubSubChannelLayer"},
        only=tuple(workload.name for workload in (*CHANNELS, RESUBSCRIBE)),
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
