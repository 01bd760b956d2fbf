"""Thousands who come and go at once, while two innocent clients measure how long they wait."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from gevent.monkey import get_original

from tests.hostile.beside import innocents_beside
from tests.hostile.kinds import HOST
from tests.hostile.scene import SERVER, peak_memory
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")

RESETS = 15_000
MOST_MEMORY = 96 * 1024 * 1024
"""Bytes that the server may take: it has some 40 MiB without anybody."""

native_socket: Callable[[], socket.socket] = get_original("socket", "socket")


def connect_and_reset(port: int, sent: bytes) -> None:
    """Connect, send something and reset, without a turn for anybody else in this process."""
    with native_socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.connect((HOST, port))
        with suppress(ConnectionError):
            sock.send(sent)


@pytest.mark.once
@pytest.mark.parametrize("sent", [b"G", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["half", "whole"])
def test_nobody_waits_for_thousands_who_connect_and_reset(sent: bytes) -> None:
    with innocents_beside([sys.executable, str(SERVER)]) as attacked:
        descriptors = Path(f"/proc/{attacked.process}/fd")
        before = len(os.listdir(descriptors))
        for _ in range(RESETS // 2):
            connect_and_reset(attacked.port, sent)
        wait_until(lambda: len(os.listdir(descriptors)) <= before)
        peak = peak_memory(attacked.process)
        assert peak is None or peak < MOST_MEMORY
