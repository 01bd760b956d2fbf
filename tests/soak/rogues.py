"""Clients that are owed nothing: they break the protocol, vanish, or make callbacks misbehave."""

from __future__ import annotations

import socket
from contextlib import closing, suppress

import gevent
import websocket

from tests.soak.healthy import Kind, Life
from tests.soak.link import HOST, RESETTING
from tests.soak.server import MISCHIEF

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NONSENSE = (
    b"\x16\x03\x01",
    b"GET / HTTP/1.1\r\nHost",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000,
    b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nshort",
    b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    UPGRADE + b"\x81\x05hello",  # unmasked
    UPGRADE + b"\xc1\x80\0\0\0\0",  # RSV1 without an extension
    UPGRADE + b"\x81\xff\x7f" + b"\xff" * 11,  # a length that nobody has
    UPGRADE + b"\x01\x82\0\0\0\0ab",  # a message that does not end
    UPGRADE + b"\x88\x81\0\0\0\0a",  # a close frame with half a code
    UPGRADE + b"\x81\x82\0\0\0\0\xff\xff",  # not UTF-8
    UPGRADE + b"\x89\x80\0\0\0\0" * 500,  # pings, whose pongs nobody reads
)
"""Beginnings of connections that are wrong, or never go on."""


def hostile(life: Life) -> None:
    """Send nonsense, and wait a while, read what comes, or vanish with a reset."""
    with closing(socket.create_connection((HOST, life.port), 5)) as plain:
        plain.settimeout(5)
        sock = life.tls.wrap_socket(plain, server_hostname=HOST) if life.tls else plain
        with closing(sock):
            sock.sendall(life.random.choice(NONSENSE))
            life.tally.messages += 1
            with suppress(TimeoutError):
                sock.settimeout(life.random.uniform(0.1, 2))
                sock.recv(1000)
            if life.random.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETTING)


def silent(life: Life) -> None:
    """Connect and say nothing, not even hello to TLS."""
    with closing(socket.create_connection((HOST, life.port), 5)):
        gevent.sleep(life.random.uniform(0, 3))


def mischief(life: Life) -> None:
    """Make callbacks of a service or the application misbehave."""
    trick = life.random.choice(list(MISCHIEF))
    life.tally.messages += 1
    if life.random.random() < 0.3:
        with closing(life.http()) as page:
            page.request("GET", f"/mischief/{trick.replace(' ', '%20')}")
            page.getresponse().read()
    else:
        with closing(life.websocket("/mischief")) as connection, suppress(websocket.WebSocketException):
            connection.send(trick)
            connection.recv()
    gevent.sleep(life.random.uniform(0, 1))


KINDS: tuple[Kind, ...] = (hostile, silent, mischief)
