from __future__ import annotations

import socket

import gevent
import pytest

from geventkws.http.connection import HTTPConnection
from geventkws.http.context import HTTPContext
from geventkws.http.environ import EnvironBuilder
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.net.transport import PlainTransport
from geventkws.options import ServerOptions
from tests.raw import upgrade_request
from tests.waiting import PATIENCE

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def answers(data: bytes) -> bytes:
    """Return the answer of a connection without a server."""
    ours, peer = socket.socketpair()
    context = HTTPContext(EnvironBuilder("h", 80), options=ServerOptions())
    channel = Channel(Loop.current(), PlainTransport(ours.detach()))
    HTTPConnection(channel, context, ("192.0.2.1", 5000))
    channel.start_reading()
    received = b""
    with peer, gevent.Timeout(PATIENCE):
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        while more := peer.recv(65536):
            received += more
    return received


@pytest.mark.parametrize("data", [GET, upgrade_request("/")], ids=["a request", "an upgrade"])
def test_without_application_services_and_log_there_is_nothing(data: bytes) -> None:
    assert answers(data).startswith(b"HTTP/1.1 404 Not Found")
