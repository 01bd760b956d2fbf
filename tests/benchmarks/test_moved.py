"""Applications that were written for other servers are measured on those and on geventkws."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.catalogue import PEERS
from benchmarks.measure import Meter
from benchmarks.server import Server
from benchmarks.workloads import WORKLOADS

CORES = sorted(os.sched_getaffinity(0))


def peers_of(name: str) -> set[str]:
    (workload,) = (each for each in WORKLOADS if each.name == name)
    return {peer.name for peer in PEERS if peer.does(workload)}


@pytest.mark.parametrize("name", ["echo-64", "handshakes", "idle"])
def test_each_is_measured_with_each_workload_of_websockets(name):
    moved = {"gevent-websocket-moved", "flask-sock-moved", "flask-sock-installed"}
    assert moved | {"gevent-websocket", "flask-sock", "uwsgi"} <= peers_of(name)


@pytest.mark.parametrize("name", ["echo-socketio", "idle-socketio"])
def test_only_flask_socketio_is_measured_with_socketio(name):
    assert peers_of(name) == {"socketio-echo", "flask-socketio-moved", "flask-socketio-installed"}


@pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler")
@pytest.mark.parametrize(
    ("peer", "workload"),
    [
        ("gevent-websocket-moved", "echo-64"),
        ("flask-sock-installed", "echo-64"),
        ("socketio-echo", "echo-socketio"),
        ("flask-socketio-installed", "echo-socketio"),
    ],
)
def test_an_application_is_measured(load, peer, workload):
    (found,) = (each for each in PEERS if each.name == peer)
    (wanted,) = (each for each in WORKLOADS if each.name == workload)
    with Server(found, Path(sys.executable), CORES) as server:
        values = Meter(load, CORES, 0.3).measure(wanted, server)
    assert values["messages_per_second"] > 1


def test_idle_connections_of_socketio_are_measured(load):
    (found,) = (each for each in PEERS if each.name == "flask-socketio-installed")
    (wanted,) = (each for each in WORKLOADS if each.name == "idle-socketio")
    with Server(found, Path(sys.executable), CORES) as server:
        assert Meter(load, CORES, 0.3).measure(wanted, server)["kib_per_connection"] > 0
