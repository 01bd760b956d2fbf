"""Innocent clients do not notice peers that take their time, ask for too much, or use up the descriptors."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack
from itertools import cycle

import pytest

from tests.helpers import require_program
from tests.hostile.beside import innocents_beside
from tests.hostile.innocents import UPGRADE
from tests.hostile.key_updates import KeyUpdater
from tests.hostile.kinds import HOST, get
from tests.hostile.scene import Target, target
from tests.waiting import PATIENCE

# While it waits for a process, gevent's subprocess sets timers shorter than libuv supports.
pytestmark = pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")

SPARE = 8
"""Descriptors that a server has left for newcomers."""
NEWCOMERS = 40
KEY_UPDATES = 500
"""How many new keys a client asks for before it reads the answers."""
GET = get("/")
SLOW = (
    GET.removesuffix(b"\r\n") + b"X: " + b"x" * 1000,
    b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000,
    b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1000,
    UPGRADE + b"\x81\xfe\xff\xffmask" + b"x" * 1000,
)
"""What is sent a byte at a time: a head, bodies of both kinds, and a handshake with a frame behind it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The server of this checkout."""
    return target(tmp_path_factory.mktemp("certificates"))


def connected(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), PATIENCE)


def test_a_byte_at_a_time_on_many_connections(server: Target) -> None:
    with innocents_beside(server.command(tls=False)) as attacked, ExitStack() as stack:
        scripts = cycle(SLOW)
        peers = [(stack.enter_context(connected(attacked.port)), next(scripts)) for _ in range(100)]
        for index in range(200):
            for sock, script in peers:
                sock.send(script[index : index + 1])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets limits of another process")
def test_no_descriptors_are_left(server: Target) -> None:
    with innocents_beside(server.command(tls=False)) as attacked, ExitStack() as stack:
        used = len(os.listdir(f"/proc/{attacked.process}/fd"))
        _, hard = resource.prlimit(attacked.process, resource.RLIMIT_NOFILE)
        resource.prlimit(attacked.process, resource.RLIMIT_NOFILE, (used + SPARE, hard))
        peers = [stack.enter_context(connected(attacked.port)) for _ in range(NEWCOMERS)]
        attacked.program.expect("No connection can be accepted for now")
        for sock in peers:  # each makes room for another
            sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert sock.recv(12) == b"HTTP/1.1 200"
            sock.close()


def test_clients_that_ask_for_renegotiation(server: Target) -> None:
    with innocents_beside(server.command(tls=True), server.authority) as attacked:
        for _ in range(10):
            output = renegotiating(attacked.port)
            assert "RENEGOTIATING" in output
            assert "no renegotiation" in output.lower()


def test_clients_that_ask_for_new_keys_without_end(server: Target) -> None:
    with innocents_beside(server.command(tls=True), server.authority) as attacked, ExitStack() as stack:
        clients = [stack.enter_context(KeyUpdater(attacked.port)) for _ in range(20)]
        for _ in range(2):
            for client in clients:
                for _ in range(KEY_UPDATES):
                    client.update()
            for client in clients:
                assert client.ask(GET).startswith(b"HTTP/1.1 200")


def renegotiating(port: int) -> str:
    """Ask for a renegotiation within a connection of TLS 1.2, and return what openssl says."""
    command = [require_program("openssl"), "s_client", "-tls1_2", "-connect", f"{HOST}:{port}"]
    done = subprocess.run(
        command, input="R\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE
    )
    return done.stdout
