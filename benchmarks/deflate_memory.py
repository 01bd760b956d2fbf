"""Measures how much memory compression costs an idle connection: ``python -m benchmarks.deflate_memory``.

The modes are those of ``peers.geventkws``. The figures are how much more memory a connection needs than one
without compression, after 20 JSON messages of 4 KiB in each direction. The server runs with this Python.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import sys
import time
import zlib
from contextlib import ExitStack
from pathlib import Path

from benchmarks.catalogue import PEERS
from benchmarks.measure import SETTLE
from benchmarks.peers.geventkws import DEFLATE_MODES
from benchmarks.report import table
from benchmarks.running import ADDRESS
from benchmarks.server import Server

MESSAGES = 20
WARM_UP = 50
"""Connections that are open when the memory is first read, so that one-time allocations do not count."""
RECORDS = [{"id": n, "name": f"item {n * n}", "price": n * 7919 % 1000} for n in range(88)]
PAYLOAD = json.dumps(RECORDS).ljust(4096).encode()
EXTENSION = "permessage-deflate"
REQUEST = (
    "GET /{mode} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    f"Sec-WebSocket-Extensions: {EXTENSION}; client_max_window_bits\r\n\r\n"
)


def text_frame(payload: bytes, compressed: bool) -> bytes:
    """Return a masked frame; its masking key is 0, which leaves the payload unchanged."""
    return bytes([0xC1 if compressed else 0x81, 0xFE]) + len(payload).to_bytes(2, "big") + bytes(4) + payload


def compressed_payload() -> bytes:
    """Return the payload compressed by itself, with a window small enough for all modes."""
    compressor = zlib.compressobj(wbits=-9)
    return (compressor.compress(PAYLOAD) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def read_frame(connection: socket.socket) -> None:
    """Read a frame from the server, whatever it contains."""
    head = connection.recv(2, socket.MSG_WAITALL)
    length = head[1]
    if length == 126:
        length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
    connection.recv(length, socket.MSG_WAITALL)


def open_and_use(port: int, mode: str) -> socket.socket:
    """Return a connection in a mode, after the exchange of messages."""
    connection = socket.create_connection((ADDRESS, port), timeout=10)
    connection.sendall(REQUEST.format(mode=mode, address=ADDRESS).encode())
    answer = connection.recv(4096).decode()
    compresses = EXTENSION in answer
    if not answer.startswith("HTTP/1.1 101") or compresses != bool(DEFLATE_MODES[mode]):
        raise RuntimeError(f"/{mode} was answered with {answer!r}")
    frame = text_frame(compressed_payload() if compresses else PAYLOAD, compresses)
    for _ in range(MESSAGES):
        connection.sendall(frame)
        read_frame(connection)
    return connection


def kib_per_connection(mode: str, connections: int, python: Path = Path(sys.executable)) -> float:
    """Return how much the memory of a fresh server grows per connection."""
    with (
        Server(PEERS[0], python, os.sched_getaffinity(0), flags=["--deflate"]) as server,
        ExitStack() as opened,
    ):
        for _ in range(WARM_UP):
            opened.enter_context(open_and_use(server.port, mode))
        before = server.memory_kib()
        for _ in range(connections):
            opened.enter_context(open_and_use(server.port, mode))
        time.sleep(SETTLE)
        return (server.memory_kib() - before) / connections


def main() -> None:
    """Measure all modes and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks.deflate_memory")
    parser.add_argument("--connections", type=int, default=1000)
    connections = parser.parse_args().connections
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
    sizes = {mode: kib_per_connection(mode, connections) for mode in DEFLATE_MODES}
    rows = [(mode, f"{size:.1f}", f"{size - sizes['off']:.1f}") for mode, size in sizes.items()]
    print(table(("mode", "KiB/connection", "more than off"), rows))


if __name__ == "__main__":
    main()
