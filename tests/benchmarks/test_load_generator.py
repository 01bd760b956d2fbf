"""The load generator against real servers: it measures those that are right, and finds what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from benchmarks.catalogue import PEERS, WORKLOADS, Peer, Workload
from benchmarks.measure import MeasurementError, Meter
from benchmarks.server import Server, ServerError
from benchmarks.toolchain import compile_load_generator

pytestmark = pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler")

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_load_generator(tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    peer = next(peer for peer in PEERS if peer.name == "geventkws")
    with Server(peer, Path(sys.executable), CORES) as running:
        yield running


def run(load: Path, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [load, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["errors"]
    return report


@pytest.mark.parametrize(
    "arguments",
    [
        ("echo", "--connections=10"),
        ("echo", "--connections=4", "--depth=8", "--text"),
        ("echo", "--connections=2", "--size=300000"),
        ("echo", "--connections=2", "--size=0"),
        ("fanout", "--connections=20", "--depth=4"),
        ("handshakes", "--connections=4"),
    ],
    ids=" ".join,
)
def test_a_server_is_measured(load, server, arguments):
    workload = Workload("trial", "", "load", arguments)
    values = Meter(load, CORES, 0.3).measure(workload, server)
    assert values["messages_per_second"] > 10
    assert 0 < values["p50_us"] <= values["p99_us"]
    assert 0 < values["cpu_us_per_message"] < 1e6 / values["messages_per_second"] * 1.2


def test_idle_connections_are_held_while_the_memory_is_read(load, server):
    # So many that what the allocator had at hand cannot hide them.
    values = Meter(load, CORES, 0.3).measure(Workload("trial", "", "idle", ("--connections=3000",)), server)
    assert 0 < values["kib_per_connection"] < 50


def test_a_refused_upgrade_is_reported(load, server):
    workload = Workload("trial", "", "load", ("echo", "--path=/nobody"))
    with pytest.raises(MeasurementError, match=r"refused the upgrade: HTTP/1\.1 404"):
        Meter(load, CORES, 0.3).measure(workload, server)


def test_a_server_that_does_not_start_is_reported_with_what_it_said():
    peer = Peer("broken", "", "no_such_module", ())
    with pytest.raises(ServerError, match="no_such_module"), Server(peer, Path(sys.executable), CORES):
        raise AssertionError("it started")


def unmasked(frame: bytes) -> bytes:
    """Return the payload of a masked frame of less than 126 bytes."""
    return bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[6:]))


def echo(frame: bytes) -> bytes:
    return bytes([frame[0], frame[1] & 0x7F]) + unmasked(frame)


def changed(frame: bytes) -> bytes:
    return echo(frame)[:-1] + b"!"


def other_opcode(frame: bytes) -> bytes:
    return b"\x81" + echo(frame)[1:]


def shorter(frame: bytes) -> bytes:
    return bytes([frame[0], 63]) + unmasked(frame)[:63]


def longer(frame: bytes) -> bytes:
    return bytes([frame[0], 65]) + unmasked(frame) + b"."


def twice(frame: bytes) -> bytes:
    return echo(frame) * 2


def masked(frame: bytes) -> bytes:
    return frame


def reserved_bit(frame: bytes) -> bytes:
    return bytes([frame[0] | 0x40]) + echo(frame)[1:]


def closing(frame: bytes) -> bytes:
    return b"\x88\x02\x03\xf3"


def serve_once(listener: socket.socket, answer: Callable[[bytes], bytes]) -> None:
    """Accept one upgrade, and answer the first frame."""
    connection = listener.accept()[0]
    with connection:
        connection.settimeout(10)
        connection.recv(4096)
        connection.sendall(ACCEPTED)
        connection.sendall(answer(connection.recv(4096)))
        connection.recv(4096)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (changed, "came back changed"),
        (other_opcode, "came back with opcode 1 and 64 bytes"),
        (shorter, "came back with opcode 2 and 63 bytes"),
        (longer, "came back changed"),
        (twice, "came back changed"),
        (masked, "masked a frame"),
        (reserved_bit, "reserved bits"),
        (closing, "closed it with 1011"),
    ],
)
def test_a_wrong_echo_is_found(load, answer, error):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = Thread(target=serve_once, args=(listener, answer))
        thread.start()
        port = listener.getsockname()[1]
        report = run(load, "echo", f"--port={port}", "--connections=1", "--seconds=0.2", "--warmup=0")
        thread.join(10)
    assert error in report["error"]


def test_every_workload_of_the_load_generator_is_one_it_knows(load):
    usage = subprocess.run([load, "--help"], capture_output=True, text=True, check=True).stdout
    for workload in WORKLOADS:
        if workload.kind == "load":
            assert f"\n  {workload.arguments[0]} " in usage
