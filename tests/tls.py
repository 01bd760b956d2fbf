"""A TLS client whose records a test can cut, join and hold back."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent

from tests.certificates import HOST
from tests.helpers import Feed, whole
from tests.waiting import PATIENCE


def connected_socket(port: int) -> socket.socket:
    sock = socket.create_connection((HOST, port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def tls_socket(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connected TLS socket that insists on the server's ``close_notify``."""
    return context.wrap_socket(connected_socket(port), server_hostname=HOST, suppress_ragged_eofs=False)


class RecordSocket:
    """What a test needs of a socket, with TLS between memory buffers.

    ``feed`` cuts what is sent into pieces; the server has its turn after each. While ``holding``, ciphertext
    is held back, and then leaves in one piece with what follows.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, feed: Feed = whole) -> None:
        self.sock = sock
        self.feed = feed
        self.holding = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)

    def handshake(self) -> None:
        self._until_done(self._tls.do_handshake)

    def take_client_hello(self) -> bytes:
        """Return the first flight without sending it; ``handshake`` then continues after it."""
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self.take()

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        self.flush()

    def recv(self, size: int) -> bytes:
        try:
            received: bytes = self._until_done(self._tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""
        return received

    def close_notify(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self.flush()

    def take(self) -> bytes:
        """Return the ciphertext instead of sending it."""
        return self._outgoing.read()

    def flush(self) -> None:
        if self.holding:
            return
        for piece in self.feed(self.take()):
            self.sock.sendall(piece)
            gevent.sleep(0)

    def close(self) -> None:
        self.sock.close()

    def _until_done(self, function: Callable[..., Any], *args: Any) -> Any:
        while True:
            try:
                result = function(*args)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(256 * 1024)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self.flush()
                return result
