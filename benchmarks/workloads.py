"""The workloads that are measured."""

from __future__ import annotations

from dataclasses import dataclass
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


DEFLATE = (
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


CHANNELS = (
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
RESUBSCRIBE = Workload(
    "channels-again",
    "Subscribe again to 100,000 channels, after Redis has cut the connection",
    "resubscribe",
    ("idle", "--connections=1000"),
    workers=1,
)


_SOCKETIO_OPENING = ("--socketio", "--path=/socket.io/?EIO=4&transport=websocket")
SOCKETIO = (
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

FANOUT_10K = Workload(
    "fanout-10k",
    "Fan-out of 64 B to 10,000 receivers, 4 in flight",
    "load",
    ("fanout", "--connections=10000", "--depth=4"),
)
"""For the services of geventkws: ``broadcast`` beside channels of the Centrifuge protocol."""

WORKLOADS = (
    _echo("echo-64", "Echo, 64 B, 100 connections", "--size=64"),
    _echo("echo-64-deep", "Echo, 64 B, 100 connections, 16 in flight on each", "--size=64", "--depth=16"),
    _echo("echo-text", "Echo, 64 B of text with non-ASCII, 100 connections", "--size=64", "--text"),
    _echo("echo-16k", "Echo, 16 KiB, 100 connections", "--size=16384"),
    _echo("echo-1m", "Echo, 1 MiB, 10 connections", f"--size={MIB}", "--connections=10"),
    _echo("echo-tls", "Echo, 64 B over TLS, 100 connections", "--size=64", tls=True),
    *DEFLATE,
    Workload("fanout", "Fan-out of 64 B to 1,000 receivers", "load", ("fanout", "--connections=1000")),
    Workload(
        "fanout-4",
        "Fan-out of 64 B to 1,000 receivers, 4 in flight",
        "load",
        ("fanout", "--connections=1000", "--depth=4"),
    ),
    FANOUT_10K,
    Workload(
        "handshakes",
        "Connect, upgrade, close; 32 at once",
        "load",
        ("handshakes", "--connections=32"),
    ),
    *SOCKETIO,
    *CHANNELS,
    RESUBSCRIBE,
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
