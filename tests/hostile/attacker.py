"""One flood, as a program of its own: many connections, one loop, buffers made beforehand.

It connects, prints ``ready``, and then obeys its input: ``go`` begins the flood, ``figures`` prints the
figures in JSON, and the end of the input ends the program.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic

from tests.hostile.kinds import HOST, LONG, Kind, of_connections

TICK = 0.005
"""The most seconds between two checks of what a flood with a rate may send."""
SLICE = 1200
"""Bytes of such a flood that one connection sends before the next one has its turn."""
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extensions}\r\n"
)
EXTENSION = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Lost(OSError):
    """The server has ended a connection."""


class Connection:
    """A connection of a flood: it opens, and then sends and receives as much as it can."""

    def __init__(self, kind: Kind, port: int, tls: ssl.SSLContext | None) -> None:
        self.kind = kind
        self.answered = False
        """Whether the server has answered anything besides the handshake."""
        self._tls = tls
        self._script = kind.script()
        self._unsent = memoryview(b"")
        self._sock = socket.socket()
        self._sock.setblocking(False)
        self._sock.connect_ex((HOST, port))
        self.fd = self._sock.fileno()
        self.opening: Iterator[int] | None = self._open()
        """Yields what to wait for, until the connection is open; then it is ``None``."""

    def _open(self) -> Iterator[int]:
        yield EVENT_WRITE
        if error := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        if self._tls is not None:
            sock = self._tls.wrap_socket(self._sock, server_hostname=HOST, do_handshake_on_connect=False)
            self._sock = sock
            yield from self._shake_hands(sock)
        if self.kind.path:
            yield from self._upgrade()

    @staticmethod
    def _shake_hands(sock: ssl.SSLSocket) -> Iterator[int]:
        while True:
            try:
                return sock.do_handshake()
            except ssl.SSLWantReadError:
                yield EVENT_READ
            except ssl.SSLWantWriteError:
                yield EVENT_WRITE

    def _upgrade(self) -> Iterator[int]:
        extensions = EXTENSION if self.kind.deflated else ""
        self._sock.send(UPGRADE.format(path=self.kind.path, extensions=extensions).encode())
        head, buffer = b"", bytearray(4096)
        while b"\r\n\r\n" not in head:
            yield EVENT_READ
            try:
                head += buffer[: self.receive(buffer)]
            except WAIT:
                continue
        accepted = b"permessage-deflate" in head if self.kind.deflated else True
        if not head.startswith(b"HTTP/1.1 101") or not accepted:
            raise SystemExit(f"the server does not open the WebSocket: {head!r}")

    def send(self, limit: int) -> int:
        """Send up to ``limit`` bytes, and return how many were sent."""
        if not self._unsent:
            self._unsent = next(self._script)
        sent = self._sock.send(self._unsent[:limit])
        self._unsent = self._unsent[sent:]
        return sent

    def receive(self, buffer: bytearray) -> int:
        """Receive into ``buffer`` and return how many bytes; raises ``Lost`` at the end."""
        received = self._sock.recv_into(buffer)
        if not received:
            raise Lost
        return received

    def close(self) -> None:
        self._sock.close()


class Flood:
    """All connections; if the server ends one, it is opened again, as long as the server accepts."""

    def __init__(self, kinds: list[Kind], port: int, tls: ssl.SSLContext | None) -> None:
        self._port = port
        self._tls = tls
        self._selector = selectors.DefaultSelector()
        self._buffer = bytearray(LONG)
        self._open: deque[Connection] = deque()
        self._expected = len(kinds)
        self._rate = kinds[0].rate if kinds else None
        self._allowed = 0.0
        self._counted_at = monotonic()
        self._flooding = False
        self._ended = False
        self.sent = self.received = 0
        self.lost: Counter[str] = Counter()
        """How often the server ended a connection, by kind."""
        self.statuses: Counter[str] = Counter()
        """The beginnings of the first HTTP responses, with the number of connections that received each."""
        self._selector.register(0, EVENT_READ, self._obey)
        for kind in kinds:
            self._connect(kind)
        self._tell_if_ready()

    def run(self) -> None:
        """Work until the input ends."""
        while not self._ended:
            for key, events in self._selector.select(TICK if self._rate else None):
                key.data(events)
            if self._rate and self._flooding:
                self._drip(self._rate)

    def _obey(self, _: int) -> None:
        commands = os.read(0, 1024)
        self._ended = not commands
        for command in commands.decode().split():
            if command == "go":
                self._flooding = True
                self._counted_at = monotonic()
                for connection in self._open:
                    self._selector.modify(connection.fd, self._interest(), self._handler(connection))
            elif command == "figures":
                figures = {name: getattr(self, name) for name in ("sent", "received", "lost", "statuses")}
                print(json.dumps(figures), flush=True)

    def _interest(self) -> int:
        return EVENT_READ | EVENT_WRITE if self._flooding and not self._rate else EVENT_READ

    def _handler(self, connection: Connection) -> Callable[[int], None]:
        return partial(self._serve, connection)

    def _connect(self, kind: Kind) -> None:
        connection = Connection(kind, self._port, self._tls)
        self._selector.register(connection.fd, EVENT_WRITE, self._handler(connection))

    def _serve(self, connection: Connection, events: int) -> None:
        try:
            if connection.opening:
                self._go_on_opening(connection, connection.opening)
                return
            if events & EVENT_READ:
                self._receive(connection)
            if events & EVENT_WRITE:
                self.sent += connection.send(LONG)
        except WAIT:
            pass
        except OSError as error:
            self._lose(connection, error)

    def _go_on_opening(self, connection: Connection, opening: Iterator[int]) -> None:
        interest = next(opening, None)
        if interest is None:
            connection.opening = None
            self._open.append(connection)
            interest = self._interest()
            self._tell_if_ready()
        self._selector.modify(connection.fd, interest, self._handler(connection))

    def _tell_if_ready(self) -> None:
        if not self._flooding and len(self._open) == self._expected:
            print("ready", flush=True)

    def _receive(self, connection: Connection) -> None:
        received = connection.receive(self._buffer)
        self.received += received
        if not connection.answered:
            connection.answered = True
            if not connection.kind.path:
                self.statuses[self._buffer[:12].decode("latin-1")] += 1

    def _drip(self, rate: int) -> None:
        """Send what the rate allows, each connection in turn."""
        now = monotonic()
        # After a pause, no more at once than for a tenth of a second.
        most = max(rate / 10, SLICE)
        self._allowed = min(self._allowed + (now - self._counted_at) * rate, most)
        self._counted_at = now
        waiting = 0
        while self._allowed >= SLICE and waiting < len(self._open):
            connection = self._open[0]
            self._open.rotate(-1)
            try:
                sent = connection.send(SLICE)
            except WAIT:
                waiting += 1
            except OSError as error:
                self._lose(connection, error)
            else:
                self.sent += sent
                self._allowed -= sent
                waiting = 0

    def _lose(self, connection: Connection, error: OSError) -> None:
        self._selector.unregister(connection.fd)
        connection.close()
        self.lost[connection.kind.name] += 1
        if not connection.opening:
            self._open.remove(connection)
        if not isinstance(error, ConnectionRefusedError):
            self._connect(connection.kind)


def main() -> None:
    """Connect, and obey the input."""
    parser = argparse.ArgumentParser(description="Flood a server on this machine.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kind", required=True, help="a name of tests/hostile/kinds.py, or mixed")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--authority", help="the file of who issued the server's certificate, for TLS")
    options = parser.parse_args()
    tls = ssl.create_default_context(cafile=options.authority) if options.authority else None
    Flood(of_connections(options.kind, options.connections), options.port, tls).run()


if __name__ == "__main__":
    main()
