"""Idle HTTP connections: what is sent on them, what is measured, and which servers do not hold them."""

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
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import measure
from benchmarks.catalogue import PEERS
from benchmarks.measure import MeasurementError, Meter
from benchmarks.server import Server
from benchmarks.workloads import BROWSER, WORKLOADS
from tests.benchmarks.generator import run
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(shutil.which(os.environ.get("CC", "cc")) is None, reason="no C compiler")

CORES = sorted(os.sched_getaffinity(0))
IDLE = [workload for workload in WORKLOADS if workload.kind == "http-idle"]
KEPT, SILENT, HALF = IDLE
NAMES = [workload.name for workload in IDLE]
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def server() -> Iterator[Server]:
    """A new one for each measurement: one that has held connections before has memory for them already."""
    peer = next(peer for peer in PEERS if peer.name == "geventkws")
    with Server(peer, Path(sys.executable), CORES, flags=KEPT.flags) as running:
        yield running


def test_every_http_server_is_measured_with_idle_connections():
    names = {peer.name for peer in PEERS if peer.http}
    for workload in IDLE:
        assert {peer.name for peer in PEERS if peer.does(workload)} == names
        assert workload.flags == ("--patient",)


@pytest.mark.parametrize("workload", IDLE, ids=NAMES)
def test_idle_connections_are_held_while_the_memory_is_read(load, server, workload):
    values = Meter(load, CORES, 0.3).measure(workload, server)
    assert 0 < values["kib_per_connection"] < 50


def serve_once(listener: socket.socket, serve: Callable[[socket.socket], object]) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.settimeout(PATIENCE)
        serve(connection)


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[socket.socket], object]], int]]:
    """Return a function that lets its argument serve one connection, and returns the port."""
    threads = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def start(serve: Callable[[socket.socket], object]) -> int:
            threads.append(Thread(target=serve_once, args=(listener, serve)))
            threads[-1].start()
            return int(listener.getsockname()[1])

        yield start
        for thread in threads:
            thread.join(PATIENCE)


def received(load: Path, listen: Any, name: str, *, answer: bytes) -> bytes:
    """Return everything that the load generator sends on one idle connection, until it ends."""
    parts: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        if answer:
            parts.append(connection.recv(65536))
            connection.sendall(answer)
        while part := connection.recv(65536):
            parts.append(part)

    fields = [f"--header={line}" for line in BROWSER]
    report = run(load, name, f"--port={listen(serve)}", "--connections=1", *fields)
    assert (report["workload"], report["connections"], report["errors"]) == (name, 1, 0)
    return b"".join(parts)


def test_a_kept_connection_has_had_a_browsers_request(load, listen):
    request = received(load, listen, KEPT.name, answer=ANSWER)
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET /hello HTTP/1.1"
    assert lines[1].startswith("Host: 127.0.0.1:")
    assert lines[2:] == [*BROWSER, "", ""]


def test_on_a_silent_connection_nothing_is_sent(load, listen):
    assert received(load, listen, SILENT.name, answer=b"") == b""


def test_half_a_request_head_is_sent_and_no_more(load, listen):
    half = received(load, listen, HALF.name, answer=b"")
    assert half.startswith(b"GET /hello HTTP/1.1\r\nHost: ")
    assert b"\r\n\r\n" not in half
    assert 450 < len(half) < 600


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "was answered with HTTP/1.1 503 No"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "without Content-Length"),
        (ANSWER + b"!", "1 bytes after the answer"),
        (ANSWER[:-1], "was not answered (end of file)"),
    ],
)
def test_a_wrong_answer_is_found(load, listen, answer, error):
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    report = run(load, KEPT.name, f"--port={listen(serve)}", "--connections=1")
    assert error in report["error"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"", "the server ended it while it was idle"),
        (b"HTTP/1.1 408 Late\r\n\r\n", "and yet told HTTP/1.1 408"),
    ],
)
def test_a_server_that_does_not_let_a_connection_wait_is_found(load, listen, words, error):
    command = [load, SILENT.name, f"--port={listen(lambda connection: connection.sendall(words))}"]
    with subprocess.Popen(
        [*command, "--connections=1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as held:
        assert held.stdout is not None
        assert json.loads(held.stdout.readline())["errors"] == 0
        assert error in json.loads(held.stdout.readline())["error"]  # while its standard input is still open
        assert held.wait(PATIENCE) == 1


def test_a_connection_that_ends_while_the_memory_is_read_fails_the_measurement(load, listen, monkeypatch):
    monkeypatch.setattr(measure, "_check_that_it_serves_beside", lambda count, port: None)
    port = listen(lambda connection: None)
    held = Meter(load, CORES, 0.3)._held(SILENT, fake_server(port), SILENT.name, "--connections=1")
    with pytest.raises(MeasurementError, match="ended it while it was idle"), held as count:
        assert count == 1


def test_a_server_that_serves_nobody_besides_idle_connections_is_found(load, monkeypatch):
    monkeypatch.setattr(measure, "ANSWER_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts nothing
        meter = Meter(load, CORES, 0.3)
        held = meter._held(SILENT, fake_server(listener.getsockname()[1]), SILENT.name, "--connections=3")
        with pytest.raises(MeasurementError, match="while 3 connections wait, /hello was not answered"), held:
            raise AssertionError("it is held")


def fake_server(port: int) -> Any:
    return SimpleNamespace(peer=PEERS[0], port=port, ports=str(port))
