"""Clients of the Centrifuge protocol in the benchmarks: rows, and mistakes that are found; no figures."""

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
from benchmarks.server import Server
from benchmarks.workloads import WORKLOADS, Workload

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler"),
]

CORES = sorted(os.sched_getaffinity(0))
OURS = [peer for peer in PEERS if peer.name.startswith("centrifuge-")]


def workloads_of(peer: Peer) -> list[str]:
    return [workload.name for workload in WORKLOADS if peer.does(workload)]


def test_what_they_are_compared_with():
    assert {peer.name: workloads_of(peer) for peer in OURS} == {
        "centrifuge-json": ["fanout-10k", "idle"],
        "centrifuge-protobuf": ["fanout-10k", "idle"],
        "centrifuge-json-kept": ["idle"],
        "centrifuge-protobuf-kept": ["idle"],
    }
    others = [peer.name for peer in PEERS if "fanout-10k" in workloads_of(peer) and peer not in OURS]
    assert others == ["geventkws"]


@pytest.fixture(scope="module", params=OURS[:3], ids=lambda peer: peer.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, Path(sys.executable), CORES) as running:
        yield running


FANOUT = Workload("", "", "load", ("fanout", "--connections=20", "--depth=4"))
IDLE = Workload("", "", "idle", ("idle", "--connections=500"))


def test_every_receiver_gets_every_push(load, server):
    meter = Meter(load, CORES, 0.3)
    if server.peer.environment["KEPT"]:  # pushes have offsets there, which the load generator does not expect
        with pytest.raises(MeasurementError, match="got something else instead of message 0"):
            meter.measure(FANOUT, server)
        return
    assert meter.measure(FANOUT, server)["messages_per_second"] > 1


def test_idle_clients_are_measured(load, server):
    assert Meter(load, CORES, 0.3).measure(IDLE, server)["kib_per_connection"] > 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--centrifuge=xml",), "--centrifuge is json or protobuf"),
        (("--centrifuge=json", "--size=101"), "up to 100 bytes"),
        (("--centrifuge=json", "--tls"), "not for TLS"),
    ],
)
def test_what_the_load_generator_cannot_do_is_refused(load, arguments, error):
    done = subprocess.run([load, "fanout", "--port=1", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert error in done.stderr
