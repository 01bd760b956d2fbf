"""What a server answers to bytes, and what these answers tell of how it has read them."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from tests.certificates import HOST
from tests.waiting import PATIENCE

QUIET = 0.4
"""Seconds without an answer after which none is expected."""
AFTER_THE_END = 2.0
"""Seconds that a server has to end a connection of which the client has ended its side."""

_HEAD = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


class Answer(NamedTuple):
    """One response: its status, and its fields with names in lower case."""

    status: int
    fields: dict[str, str]

    @property
    def read(self) -> tuple[str, str] | None:
        """The method and the body (in hexadecimal digits) that the application has read; ``None`` if none."""
        if "x-read" not in self.fields:
            return None
        _, method, *body = self.fields["x-read"].split(" ")
        return method, "".join(body)


class Dialogue(NamedTuple):
    """What was answered, whether the server has ended the connection in time, and the client's port."""

    answers: list[Answer]
    ended: bool
    client: int


def talk(port: int, pieces: Iterable[bytes], quiet: float = QUIET) -> Dialogue:
    """Send everything, wait until ``quiet`` seconds bring no more answers, and end.

    So it is with each of the pieces. Some servers forget the requests that they have not answered when a
    client ends its side.
    """
    received = bytearray()
    with socket.create_connection((HOST, port), PATIENCE) as client:
        own_port = client.getsockname()[1]
        try:
            ended = _exchange(client, pieces, quiet, received)
        except ConnectionError:
            ended = True
    return Dialogue(answers(bytes(received)), ended, own_port)


def _exchange(client: socket.socket, pieces: Iterable[bytes], quiet: float, received: bytearray) -> bool:
    for piece in pieces:
        client.sendall(piece)
        if _read_until_quiet(client, quiet, received):
            return True
    client.shutdown(socket.SHUT_WR)
    return _read_until_quiet(client, AFTER_THE_END, received)


def _read_until_quiet(client: socket.socket, quiet: float, received: bytearray) -> bool:
    """Read until the end, or until nothing has come for a while; return whether it was the end."""
    client.settimeout(quiet)
    with suppress(TimeoutError):
        while data := client.recv(65536):
            received += data
        return True
    return False


def answers(received: bytes) -> list[Answer]:
    """Return the responses, without interim ones; none has a body that looks like a response."""
    return [
        Answer(int(match[1]), dict(map(_field, match[2].decode("latin-1").splitlines())))
        for match in _HEAD.finditer(received)
        if not match[1].startswith(b"10") or match[1] == b"101"
    ]


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
