"""The workloads over Redis, on real servers: rows are produced, and mistakes found. No figure is judged."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import measure, scale
from benchmarks.catalogue import PEERS, Peer
from benchmarks.measure import MeasurementError, Meter
from benchmarks.redis_server import RedisServer, redis_version
from benchmarks.report import workload_section
from benchmarks.summary import Record
from benchmarks.toolchain import MissingError
from benchmarks.workers import Workers
from benchmarks.workloads import Workload
from tests.benchmarks.generator import accepted, run_against
from tests.helpers import require_program

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler"),
]

CORES = sorted(os.sched_getaffinity(0))
FANOUT = Workload("channels-2", "", "load", ("fanout", "--connections=20", "--depth=4"), workers=2)
PUBLISH = Workload("channels-publish", "", "load", ("echo", "--connections=5"), workers=2, path="/publish")


def peer(name: str) -> Peer:
    return next(peer for peer in PEERS if peer.name == name)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    require_program("redis-server")
    with RedisServer(CORES) as running:
        yield running


@pytest.fixture(scope="module", params=["geventkws", "flask-socketio"])
def workers(request: pytest.FixtureRequest, redis: RedisServer) -> Iterator[Workers]:
    with Workers(peer(request.param), Path(sys.executable), CORES, redis, 2) as running:
        yield running


@pytest.mark.parametrize("workload", [FANOUT, PUBLISH], ids=lambda workload: workload.name)
def test_two_processes_are_measured(load, workers, workload):
    values = Meter(load, CORES, 0.3).measure_workers(workload, workers)
    assert values["messages_per_second"] > 1
    assert 0 < values["p50_us"] <= values["p99_us"]
    assert values["cpu_us_per_message"] > 0
    row = workload_section(workload, [Record(workers.peer.name, workload.name, 0, values)])
    assert f"| {workers.peer.title} " in row


@pytest.fixture
def few_subscriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SUBSCRIPTIONS", 5)
    monkeypatch.setattr(measure, "IDLE_BEFORE", 2)


@pytest.mark.usefixtures("few_subscriptions")
def test_the_memory_of_subscriptions_is_measured(load, workers):
    workload = Workload("", "", "subscriptions", ("idle", "--connections=20"), workers=2)
    values = Meter(load, CORES, 0.3).measure_workers(workload, workers)
    assert values.keys() == {"bytes_per_subscription", "redis_bytes_per_subscription"}
    assert all(0 <= value < 100_000 for value in values.values())


RESUBSCRIBE = Workload("", "", "resubscribe", ("idle", "--connections=20"), workers=2)


@pytest.mark.usefixtures("few_subscriptions")
def test_the_time_to_subscribe_again_is_measured_where_there_are_channels(load, workers):
    meter = Meter(load, CORES, 0.3)
    if workers.peer.socketio:  # it has one channel on Redis for all
        with pytest.raises(MeasurementError, match="of 100 channels"):
            meter.measure_workers(RESUBSCRIBE, workers)
        return
    values = meter.measure_workers(RESUBSCRIBE, workers)
    assert values["resubscribe_seconds"] > 0
    assert values["resubscribe_cpu_seconds"] > 0


@pytest.mark.parametrize(
    ("option", "greeting", "error"),
    [
        ("--greeted", b"\x81\x05reedy", "greeted with something else: reedy"),
        ("--greeted", b"\x81\x04read", "greeted with something else: read"),
        ("--socketio", b"\x81\x0244", "not how Socket.IO begins: 44"),
        ("--centrifuge=json", b'\x81\x0c{"error":{}}', 'not how Centrifuge begins: {"error":{}}'),
        ("--centrifuge=protobuf", b"\x82\x05\x04\x08\x01\x12\x00", "not how Centrifuge begins"),
        ("--greeted", b"\x81\x05ready", "came back changed"),
    ],
)
def test_a_wrong_greeting_is_found(load, option, greeting, error):
    report = run_against(load, lambda frame: b"\x82\x01!", option, head=accepted() + greeting)
    assert error in report["error"]


def test_a_missing_redis_is_reported(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert redis_version() == "not installed"
    with pytest.raises(MissingError, match="redis-server is not installed"):
        RedisServer(CORES)


def test_a_delivery_is_measured_as_processes_are_added(monkeypatch, capsys):
    require_program("redis-server")
    sizes = ["--processes", "1", "2", "--connections", "10", "--publications", "2"]
    monkeypatch.setattr(sys, "argv", ["scale", *sizes, "--python", sys.executable])
    assert scale.main() == 0
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [[cell.strip() for cell in row] for row in rows] == [["1", "10"], ["2", "20"]]


def test_a_run_that_takes_too_long_is_given_up(monkeypatch, capsys):
    require_program("redis-server")
    monkeypatch.setattr(
        sys, "argv", ["scale", "--processes", "1", "--timeout", "0.01", "--python", sys.executable]
    )
    assert scale.main() == 1
    assert "the time of this run is over" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--processes", "0"], ["--connections", "50000"], ["--repeat", "0"], ["--timeout", "0"]]
)
def test_an_option_of_scale_that_makes_no_sense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        scale.parse_options(arguments)
    assert exit_info.value.code == 2
    assert arguments[0] in capsys.readouterr().err
