"""What a client gets for the bytes of a case: the statuses of the answers, in order."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

_HEAD = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) [^\r]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


def converse(
    connect: Callable[[], socket.socket], reads: Iterable[bytes], half_close: bool = True
) -> tuple[list[int], bytes]:
    """Send all of it, end, and return the statuses that came, and all bytes; a reset ends them too."""
    received = b""
    with connect() as client:
        with suppress(ConnectionError):
            for data in reads:
                client.sendall(data)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while data := client.recv(65536):
                received += data
    return statuses(received), received


def statuses(received: bytes) -> list[int]:
    """Return the status of each response in ``received``, whose bodies all have a length."""
    found = []
    position = 0
    while match := _HEAD.match(received, position):
        found.append(int(match[1]))
        length = _LENGTH.search(match[2])
        position = match.end() + (int(length[1]) if length else 0)
    return found
