"""Thousands who come, stay or go at once, while two innocent clients measure how long they wait."""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path

import pytest
from gevent.monkey import get_original

from tests.hostile.beside import innocents_beside, memory
from tests.hostile.innocents import UPGRADE
from tests.hostile.kinds import HOST, get
from tests.hostile.scene import SERVER, peak_memory
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")

RESETS = 15_000
MOST_MEMORY = 96 * 1024 * 1024
"""Bytes that the server may take: it has some 40 MiB without anybody."""
CROWD = 15_000
MOST_EACH = 4 * 1024
"""Bytes that the server may keep for each of the crowd while it is there: it keeps about one KiB."""
MOST_LEFT = 1024 * 1024
"""Bytes by which the server may have grown after a second crowd, which uses the memory of the first."""

native_socket: Callable[[], socket.socket] = get_original("socket", "socket")


def connect_and_reset(port: int, sent: bytes) -> None:
    """Connect, send something and reset, without a turn for anybody else in this process."""
    with native_socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.connect((HOST, port))
        with suppress(ConnectionError):
            sock.send(sent)


@contextmanager
def many_descriptors(*processes: int) -> Iterator[None]:
    """Let these processes have as many files open as the system allows them, for a while."""
    limits = {process: resource.prlimit(process, resource.RLIMIT_NOFILE) for process in processes}
    if any(hard < CROWD + 1000 for _, hard in limits.values()):
        pytest.skip(f"ulimit -H -n does not allow {CROWD} connections")
    for process, (_, hard) in limits.items():
        resource.prlimit(process, resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        for process, each in limits.items():
            resource.prlimit(process, resource.RLIMIT_NOFILE, each)


@contextmanager
def crowd(port: int, count: int) -> Iterator[None]:
    """Be so many clients, who have asked for a page and for a WebSocket in turn, and say nothing more."""
    with ExitStack() as stack:
        socks = [stack.enter_context(native_socket()) for _ in range(count)]
        for sock, sent in zip(socks, cycle((get("/"), UPGRADE)), strict=False):
            sock.settimeout(PATIENCE)
            sock.connect((HOST, port))
            sock.send(sent)
        answers = [sock.recv(12) for sock in socks]
        assert answers == list(islice(cycle((b"HTTP/1.1 200", b"HTTP/1.1 101")), count))
        yield


@pytest.mark.once
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets limits of another process")
def test_nobody_waits_for_thousands_who_stay_and_say_nothing() -> None:
    command = [sys.executable, str(SERVER)]
    with innocents_beside(command, most_memory=CROWD * MOST_EACH) as attacked:
        descriptors = Path(f"/proc/{attacked.process}/fd")
        before, had = len(os.listdir(descriptors)), memory(attacked.process)

        def all_have_gone() -> bool:
            return len(os.listdir(descriptors)) <= before

        with many_descriptors(os.getpid(), attacked.process):
            with crowd(attacked.port, CROWD):
                assert len(os.listdir(descriptors)) >= before + CROWD
                assert memory(attacked.process) - had < CROWD * MOST_EACH
            wait_until(all_have_gone)
            left = memory(attacked.process)
            with crowd(attacked.port, CROWD // 5):
                pass
            wait_until(all_have_gone)
            assert memory(attacked.process) - left < MOST_LEFT


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
