"""Two well-behaved clients, in a program of their own, so that nothing distorts their clock.

One sends echoes over a WebSocket, the other requests over a kept-alive HTTP connection; each waits for its
answer, pauses, and starts again. The program prints ``ready``, measures from the line ``go`` to the line
``end``, and prints the waits in JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import ssl
import sys
import threading
from pathlib import Path
from statistics import median
from typing import Any

from tests.hostile.cores import OWN_THREAD, fair_clock, of_process
from tests.hostile.kinds import FIN, HOST, TEXT, frame

PAUSE = 0.005
"""Seconds between an answer and the next question."""
PATIENCE = 15.0
"""Seconds after which an innocent gives up waiting: no answer at all."""
UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Client:
    """A blocking connection."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        sock = socket.create_connection((HOST, port), PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = tls.wrap_socket(sock, server_hostname=HOST) if tls else sock
        self._unread = b""

    def ask(self) -> None:
        """Send a question and wait for its answer."""
        raise NotImplementedError

    def _read(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._read_more()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def _read_head(self) -> str:
        while b"\r\n\r\n" not in self._unread:
            self._read_more()
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def _read_more(self) -> None:
        data = self._sock.recv(4096)
        if not data:
            raise ConnectionError("the server has ended the connection")
        self._unread += data


class WebSocketClient(Client):
    """Sends a text and expects it back."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(port, tls)
        self._sock.sendall(UPGRADE)
        head = self._read_head()
        if not head.startswith("HTTP/1.1 101"):
            raise ConnectionError(f"the server does not open the WebSocket: {head!r}")

    def ask(self) -> None:
        self._sock.sendall(frame(FIN | TEXT, b"hello"))
        answer = self._read(7)
        if answer != b"\x81\x05hello":
            raise ConnectionError(f"no echo, but {answer!r}")


class HTTPClient(Client):
    """Asks for a small page."""

    def ask(self) -> None:
        self._sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head = self._read_head()
        length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
        if not head.startswith("HTTP/1.1 200") or not length:
            raise ConnectionError(f"no page, but {head!r}")
        self._read(int(length[1]))


class Innocent(threading.Thread):
    """Lets a client ask until ``ended`` is set, and records how long each answer took.

    What the machine took to give it, or the server, a core does not count.
    """

    def __init__(self, client: Client, server: Path, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._server = server
        self._ended = ended
        self._waits: list[float] = []
        self._error: str | None = None

    def run(self) -> None:
        while not self._ended.wait(PAUSE) and self._error is None:
            asked = fair_clock(OWN_THREAD, self._server)
            try:
                self._client.ask()
            except TimeoutError:
                self._error = f"no answer within {PATIENCE:g} s"
            except OSError as error:
                self._error = str(error)
            self._waits.append(max(0.0, fair_clock(OWN_THREAD, self._server) - asked))

    def figures(self) -> dict[str, Any]:
        """Return what was measured, in seconds; an answer that never came counts with the time waited."""
        waits = self._waits or [0.0]
        return {
            "longest": max(waits),
            "median": median(waits),
            "rounds": len(self._waits),
            "error": self._error,
        }


def main() -> None:
    """Connect, and measure when told to."""
    parser = argparse.ArgumentParser(description="Measure how long a server lets two clients wait.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--server", type=int, required=True, help="the number of the server's process")
    parser.add_argument("--authority", help="the file of who issued the server's certificate, for TLS")
    options = parser.parse_args()
    tls = ssl.create_default_context(cafile=options.authority) if options.authority else None
    clients = {"websocket": WebSocketClient(options.port, tls), "http": HTTPClient(options.port, tls)}
    for client in clients.values():
        client.ask()  # the first answer also takes imports and the like
    ended = threading.Event()
    innocents = {
        name: Innocent(client, of_process(options.server), ended) for name, client in clients.items()
    }
    print("ready", flush=True)
    if sys.stdin.readline() != "go\n":
        return
    for innocent in innocents.values():
        innocent.start()
    sys.stdin.readline()
    ended.set()
    for innocent in innocents.values():
        innocent.join()
    print(json.dumps({name: innocent.figures() for name, innocent in innocents.items()}), flush=True)


if __name__ == "__main__":
    main()
