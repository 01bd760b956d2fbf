"""The HTTP workloads: what is served, what is measured, and the answers that are found wrong."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from benchmarks.catalogue import PEERS, WORKLOADS
from benchmarks.measure import (
    UPLOAD_PATH,
    UPLOAD_SIZE,
    MeasurementError,
    Meter,
    answers,
    check_http,
    check_wrk,
)
from benchmarks.peers.http_app import DOCUMENT, FILE_PATH, HELLO, application
from benchmarks.server import Server

CORES = sorted(os.sched_getaffinity(0))
HTTP = [workload for workload in WORKLOADS if workload.kind == "http"]
KEPT, CLOSED = (next(w for w in HTTP if w.name == name) for name in ("http-hello", "http-close"))
FINE = {"messages": 100.0, "bytes": 100.0 * (len(HELLO) + 90), "errors": 0.0, "ends": 0.0}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    peer = next(peer for peer in PEERS if peer.name == "geventkws")
    with Server(peer, Path(sys.executable), CORES) as running:
        yield running


def call(path: str, body: bytes = b"") -> tuple[str, bytes]:
    """Call the application as PEP 3333 says, and return the status and the body."""
    environ: dict[str, Any] = {"PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "SCRIPT_NAME": ""}
    environ |= {"REQUEST_METHOD": "POST" if body else "GET", "QUERY_STRING": "", "wsgi.input": BytesIO(body)}
    setup_testing_defaults(environ)
    started: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
        started.append(status)
        return BytesIO().write

    answer: Any = validator(application)(environ, start_response)
    with closing(answer):
        return started[0], b"".join(answer)


def test_the_peers_to_compare_are_measured_with_every_http_workload():
    names = {"geventkws", "geventkws-pure", "pywsgi", "gunicorn-gevent", "gunicorn-gthread"}
    names |= {"waitress", "uvicorn", "granian"}
    for workload in HTTP:
        assert names <= {peer.name for peer in PEERS if peer.does(workload)}


def test_a_peer_may_be_measured_with_some_workloads_only():
    (peer,) = (peer for peer in PEERS if peer.name == "granian-static")
    assert [workload.name for workload in WORKLOADS if peer.does(workload)] == ["http-file"]


def test_the_document_and_the_file_have_the_size_they_are_named_for():
    assert len(DOCUMENT) == pytest.approx(10240, rel=0.02)
    assert len(answers()[FILE_PATH]) == 1 << 20


@pytest.mark.parametrize("path", answers())
def test_the_application_gives_the_answer_that_is_expected(path):
    body = bytes(UPLOAD_SIZE) if path == UPLOAD_PATH else b""
    assert call(path, body) == ("200 OK", answers()[path])


def test_another_path_is_not_found():
    assert call("/other") == ("404 Not Found", b"")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk")
@pytest.mark.parametrize("workload", HTTP, ids=lambda workload: workload.name)
def test_a_server_is_measured_by_wrk(server, workload):
    values = Meter(Path("unused"), CORES, 1).measure(workload, server)
    assert values["messages_per_second"] > 10
    assert 0 < values["p50_us"] <= values["p99_us"]
    assert 0 < values["cpu_us_per_message"] < 1e6 / values["messages_per_second"] * 1.2
    if workload.bulk:
        assert values["mib_per_second"] >= values["messages_per_second"]  # of 1 MiB each
    else:
        assert "mib_per_second" not in values


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.settimeout(10)
        connection.recv(65536)
        connection.sendall(answer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 13\r\n\r\nHello, world!", "answered with 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!", "200 and 13 wrong bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, world", "200 and 12 wrong bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello", "not answered: IncompleteRead"),
        (b"", "not answered: RemoteDisconnected"),
    ],
)
def test_a_wrong_first_answer_is_found(answer, error):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = Thread(target=answer_once, args=(listener, answer))
        thread.start()
        with pytest.raises(MeasurementError, match=error):
            check_http(listener.getsockname()[1], "/hello")
        thread.join(10)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"errors": 1.0}, "1 errors in 100 requests"),
        ({"ends": 2.0}, "2 errors in 100 requests"),
        ({"messages": 0.0}, "0 errors in 0 requests"),
        ({"bytes": 100.0 * len(HELLO) - 1}, "13 bytes on average, which is too little"),
    ],
)
def test_what_wrk_found_wrong_is_reported(change, error):
    with pytest.raises(MeasurementError, match=error):
        check_wrk({**FINE, **change}, KEPT)


def test_only_connections_that_were_to_be_kept_must_not_end():
    check_wrk(FINE, KEPT)
    check_wrk({**FINE, "ends": 100.0}, CLOSED)
