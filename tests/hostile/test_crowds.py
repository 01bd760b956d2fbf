"""Thousands who come and go at once, while two innocent clients measure how long they wait."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from gevent.monkey import get_original

from tests.hostile.judge import LONGEST_WAIT, MEDIAN_WAIT
from tests.hostile.kinds import HOST
from tests.hostile.scene import JSON_LINE, SERVER, peak_memory
from tests.programs import Program
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
    with Program(sys.executable, str(SERVER)) as server:
        about = json.loads(server.expect(JSON_LINE)[1])
        clients = (f"--port={about['port']}", f"--server={about['process']}")
        descriptors = Path(f"/proc/{about['process']}/fd")
        with Program(sys.executable, "-m", "tests.hostile.innocents", *clients) as innocents:
            innocents.expect("ready\n")
            before = len(os.listdir(descriptors))
            innocents.type_in("go\n")
            for _ in range(RESETS // 2):
                connect_and_reset(about["port"], sent)
            innocents.type_in("end\n")
            for name, waits in json.loads(innocents.expect(JSON_LINE)[1]).items():
                assert waits["error"] is None, name
                assert waits["longest"] < LONGEST_WAIT, name
                assert waits["median"] < MEDIAN_WAIT, name
            wait_until(lambda: len(os.listdir(descriptors)) <= before)
        memory = peak_memory(about["process"])
        assert memory is None or memory < MOST_MEMORY
        assert "Traceback" not in server.output
