"""The HTTP workloads: what is served, what is measured, and which wrong answers are detected."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from benchmarks.catalogue import PEERS
from benchmarks.measure import MeasurementError, Meter, answers, check_http, check_wrk, expected
from benchmarks.peers import flask_app
from benchmarks.peers.http_app import (
    DOCUMENTS,
    FILE_PATH,
    HELLO,
    ITEM_TARGET,
    UPLOAD_PATH,
    UPLOAD_SIZE,
    application,
)
from benchmarks.server import Server
from benchmarks.toolchain import HERE
from benchmarks.workloads import BROWSER, WORKLOADS, Workload
from tests.waiting import PATIENCE

CORES = sorted(os.sched_getaffinity(0))
HTTP = [workload for workload in WORKLOADS if workload.kind == "http"]
KEPT, CLOSED, VARIED, FLASK = (
    next(workload for workload in HTTP if workload.name == name)
    for name in ("http-hello", "http-close", "http-paths", "http-flask")
)
FINE = {"messages": 100.0, "bytes": 100.0 * (len(HELLO) + 90), "errors": 0.0, "ends": 0.0}


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[bool, Server]]:
    """geventkws servers, with Flask and without."""
    peer = next(peer for peer in PEERS if peer.name == "geventkws")
    with (
        Server(peer, Path(sys.executable), CORES) as plain,
        Server(peer, Path(sys.executable), CORES, flags=["--flask"]) as with_flask,
    ):
        yield {False: plain, True: with_flask}


def call(target: str, body: bytes = b"", application: Any = application) -> tuple[str, bytes]:
    """Call the application as PEP 3333 specifies, and return the status and the body."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {"PATH_INFO": path, "CONTENT_LENGTH": str(len(body)), "SCRIPT_NAME": ""}
    environ |= {
        "REQUEST_METHOD": "POST" if body else "GET",
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(body),
    }
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
    assert len(DOCUMENTS["/json"]) == pytest.approx(10240, rel=0.02)
    assert len(DOCUMENTS["/json-4k"]) == pytest.approx(4096, rel=0.02)
    assert len(answers()[FILE_PATH]) == 1 << 20


@pytest.mark.parametrize("target", [*answers(), ITEM_TARGET])
def test_the_application_gives_the_answer_that_is_expected(target):
    body = bytes(UPLOAD_SIZE) if target == UPLOAD_PATH else b""
    assert call(target, body) == ("200 OK", expected(target))


def test_the_flask_application_gives_the_same_answer_as_the_other_one():
    assert call("/hello", application=flask_app.app) == call("/hello") == ("200 OK", HELLO)


def test_a_browser_sends_20_header_fields_each_of_a_different_name():
    names = {line.partition(": ")[0].lower() for line in BROWSER}
    assert len(names | {"host"}) == len(BROWSER) + 1 == 20


def test_another_path_is_not_found():
    assert call("/other") == ("404 Not Found", b"")


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk")
@pytest.mark.parametrize("workload", HTTP, ids=lambda workload: workload.name)
def test_a_server_is_measured_by_wrk(servers, workload):
    values = Meter(Path("unused"), CORES, 1).measure(workload, servers[workload.flask])
    assert values["messages_per_second"] > 10
    assert 0 < values["p50_us"] <= values["p99_us"]
    assert 0 < values["cpu_us_per_message"] < 1e6 / values["messages_per_second"] * 1.2
    if workload.bulk:
        assert values["mib_per_second"] >= values["messages_per_second"]  # of 1 MiB each
    else:
        assert "mib_per_second" not in values


@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk")
def test_wrk_asks_for_each_path_in_turn():
    asked = targets_of_wrk(VARIED, count=7)
    assert sorted(asked[:7]) == [ITEM_TARGET.replace("00000", f"0000{number}") for number in range(7)]
    assert asked[7:14] == asked[:7]


def targets_of_wrk(workload: Workload, count: int) -> list[str]:
    """Return the targets that wrk requests on its only connection, if there are this many."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = Thread(target=listener.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{listener.server_port}{workload.arguments[0]}"
        script = str(HERE / "load" / "wrk.lua")
        command = ["wrk", "-t1", "-c1", "-d1s", "-s", script, url, "--", "paths", str(count)]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        listener.shutdown()
        thread.join(PATIENCE)
    return asked


def test_the_targets_that_vary_are_as_long_as_the_one_whose_answer_is_counted():
    assert re.fullmatch(r"/items/0{5}/\w+\?after=0{5}&\S+", VARIED.arguments[0])
    assert len(expected(VARIED.arguments[0])) == len(ITEM_TARGET)


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection = listener.accept()[0]
    with connection:
        connection.settimeout(PATIENCE)
        connection.recv(65536)
        connection.sendall(answer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 500 No\r\nContent-Length: 13\r\n\r\nHello, world!", "answered with 500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!", "200 and 13 wrong bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, world", "200 and 12 wrong bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello", "not answered: IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!", "answered without a Date"),
        (b"", "not answered: RemoteDisconnected"),
    ],
)
def test_a_wrong_first_answer_is_found(answer, error):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        thread = Thread(target=answer_once, args=(listener, answer))
        thread.start()
        with pytest.raises(MeasurementError, match=error):
            check_http(listener.getsockname()[1], KEPT)
        thread.join(PATIENCE)


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


def test_only_connections_that_should_be_kept_must_not_end():
    check_wrk(FINE, KEPT)
    check_wrk({**FINE, "ends": 100.0}, CLOSED)
