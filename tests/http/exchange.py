"""What a client gets for the bytes of a case: the statuses of the responses, in order."""

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
    """Send everything and end; return the statuses and bytes received until the end or a reset."""
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
    """Return the status of each response in ``received``; all their bodies have a length."""
    found = []
    position = 0
    while match := _HEAD.match(received, position):
        found.append(int(match[1]))
        length = _LENGTH.search(match[2])
        position = match.end() + (int(length[1]) if length else 0)
    return found
