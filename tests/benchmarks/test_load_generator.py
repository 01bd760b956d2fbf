"""The load generator against real servers: it measures correct ones, and detects mistakes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.catalogue import PEERS, Peer
from benchmarks.measure import MeasurementError, Meter
from benchmarks.running import ServerError
from benchmarks.server import Server
from benchmarks.workloads import WORKLOADS, Workload
from tests.benchmarks.generator import run_against

pytestmark = pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler")

CORES = sorted(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    peer = next(peer for peer in PEERS if peer.name == "geventkws")
    with Server(peer, Path(sys.executable), CORES) as running:
        yield running


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
    # So many that memory kept by the allocator cannot hide them.
    values = Meter(load, CORES, 0.3).measure(
        Workload("trial", "", "idle", ("idle", "--connections=3000")), server
    )
    assert 0 < values["kib_per_connection"] < 50


def test_the_processes_are_counted_when_one_of_them_has_served(load, server, monkeypatch):
    opened = []
    monkeypatch.setattr(Meter, "_open_once", lambda *arguments: opened.append(arguments))
    monkeypatch.setattr(server, "processes", lambda: [os.getpid()] if opened else [])
    values = Meter(load, CORES, 0.3).measure(Workload("trial", "", "load", ("echo",)), server)
    assert 0 <= values["server_cpu"] < 1


def test_a_child_that_has_just_ended_costs_nothing(server, monkeypatch):
    ended = subprocess.Popen(["true"])
    ended.wait()
    before = server.memory_kib()
    monkeypatch.setattr(server, "processes", lambda: [ended.pid])
    assert before > 0
    assert server.memory_kib() == server.cpu_seconds() == 0


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
    report = run_against(load, answer)
    assert error in report["error"]


def test_every_workload_of_the_load_generator_is_one_it_knows(load):
    usage = subprocess.run([load, "--help"], capture_output=True, text=True, check=True).stdout
    for workload in WORKLOADS:
        if workload.kind != "http":
            assert f"\n  {workload.arguments[0]} " in usage
