"""What lies between a client and the server: a way for one connection, with a fault of its own."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random

import gevent

HOST = "127.0.0.1"
BLOCK = 64 * 1024
SINGLE = 5
"""Bytes of a block that go one by one."""
HALF_OPEN = 3.0
"""Seconds that a half-open link keeps silent before it resets both ends."""
RESETTING = struct.pack("ii", 1, 0)


class Broken(Exception):
    """The link ends here: after so many seconds of silence."""

    def __init__(self, silence: float = 0.0) -> None:
        self.silence = silence


Fault = Callable[[bytes, Random], Iterator[bytes]]
"""Cuts a block into the pieces in which it goes on, with pauses; ends the link by ``Broken``."""


def whole(block: bytes, random: Random) -> Iterator[bytes]:
    yield block


def delayed(block: bytes, random: Random) -> Iterator[bytes]:
    gevent.sleep(random.uniform(0, 0.05))
    yield block


def byte_by_byte(block: bytes, random: Random) -> Iterator[bytes]:
    """Yield a few bytes one by one, from a random place on.

    Not all of them: each costs a turn of this process, and a server that waits too long for a request
    is right to answer 408.
    """
    start = random.randrange(len(block))
    end = min(start + SINGLE, len(block))
    yield block[:start]
    for position in range(start, end):
        yield block[position : position + 1]
    yield block[end:]


def reset(block: bytes, random: Random) -> Iterator[bytes]:
    """End, most often within a few blocks, in the middle of one."""
    if random.random() < 0.1:
        yield block[: random.randrange(len(block))]
        raise Broken
    yield block


def half_open(block: bytes, random: Random) -> Iterator[bytes]:
    if random.random() < 0.1:
        raise Broken(HALF_OPEN)
    yield block


LOSSLESS: tuple[Fault, ...] = (whole, delayed, byte_by_byte)
LOSSY: tuple[Fault, ...] = (reset, half_open)


class Link:
    """What a connection goes over; whatever ``fault`` decides by chance comes from ``random``."""

    def __init__(self, fault: Fault, random: Random) -> None:
        self._fault = fault
        self._random = random

    def carry(self, near: socket.socket, port: int) -> None:
        """Carry the connection of a client to a port of the server, to its end."""
        with near, suppress(OSError), socket.create_connection((HOST, port)) as far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ways = [gevent.spawn(self._forward, *ends) for ends in ((near, far), (far, near))]
            try:
                gevent.joinall(ways)
            finally:
                gevent.killall(ways)

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while block := source.recv(BLOCK):
                for piece in self._fault(block, self._random):
                    sink.sendall(piece)
                    gevent.sleep(0)
            sink.shutdown(socket.SHUT_WR)
        except Broken as broken:
            gevent.sleep(broken.silence)
            _reset(source, sink)
        except OSError:
            _reset(source, sink)


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETTING)
            end.shutdown(socket.SHUT_RD)  # wakes the other way, if it waits
        end.close()
