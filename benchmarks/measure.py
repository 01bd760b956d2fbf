"""Measures a workload on a running server."""

from __future__ import annotations

import http.client
import json
import math
import resource
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.catalogue import ITEM_COUNT, MIB, Workload
from benchmarks.peers import http_app
from benchmarks.server import ADDRESS, Server, pinned
from benchmarks.toolchain import HERE, find_wrk

Values = dict[str, float]
"""What was measured: ``messages_per_second``, ``cpu_us_per_message``, ``p50_us``, ``p99_us`` and ``load_cpu``
(the part of its core that the load generator used), with ``mib_per_second`` if the workload is bulk, and
``wire_bytes_per_message`` if it is compressed; or ``kib_per_connection``."""

WRK_CONNECTIONS = 50
ANSWER_TIMEOUT = 10.0
"""Seconds that a single request may wait for its response."""
SETTLE = 0.3
"""Seconds for the greenlets or tasks of the last connections to settle before the memory is read."""
RUN_TIMEOUT = 60.0
"""Seconds besides the measured time, for opening the connections and for messages in flight at the end."""
IDLE_BEFORE = 100
"""Connections that are open when the memory is first read, so that one-time allocations do not count."""


class MeasurementError(Exception):
    """The server did something wrong, or the load generator could not work."""


class Meter:
    """Measures with the load generator on cores of its own."""

    def __init__(self, load_generator: Path, cores: Iterable[int], seconds: float) -> None:
        self.load_generator = load_generator
        self.cores = frozenset(cores)
        self.seconds = seconds

    def measure(self, workload: Workload, server: Server) -> Values:
        """Return what this workload measures on the server; may raise ``MeasurementError``."""
        by_kind = {"load": self._by_load, "http": self._by_wrk}
        return by_kind.get(workload.kind, self._idle)(workload, server)

    def _by_load(self, workload: Workload, server: Server) -> Values:
        self._open_once(workload, server)
        command = self._load_command(workload, server, *workload.arguments)
        command += [f"--seconds={self.seconds}", f"--warmup={min(0.5, self.seconds / 2)}"]
        command.append(f"--pid={','.join(map(str, server.processes()))}")
        report = _report(self._run(command))
        return {key: value for key, value in report.items() if isinstance(value, float)}

    def _open_once(self, workload: Workload, server: Server) -> None:
        """Open a connection, so that a worker process has started and its CPU time is counted."""
        tls = ["--tls"] if workload.tls else []
        once = [str(self.load_generator), "idle", "--connections=1", f"--port={server.port}", *tls]
        _report(self._run(once))

    def _idle(self, workload: Workload, server: Server) -> Values:
        name, *arguments = workload.arguments
        with self._held(workload, server, name, f"--connections={IDLE_BEFORE}"):
            before = server.memory_kib()
            with self._held(workload, server, name, *arguments) as count:
                return {"kib_per_connection": (server.memory_kib() - before) / count}

    @contextmanager
    def _held(self, workload: Workload, server: Server, *arguments: str) -> Iterator[int]:
        """Hold idle connections within the ``with`` block; yields their number.

        Raises ``MeasurementError`` if the server ends one of them, or serves no others.
        """
        command = self._load_command(workload, server, *arguments)
        with pinned(self.cores):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with process:  # at the end, closes the standard input of the load generator, which then ends
            assert process.stdout is not None
            count = _report(process.stdout.readline())["connections"]
            if workload.over_http:
                _check_that_it_serves_beside(count, server.port)
            time.sleep(SETTLE)
            yield count
            assert process.stdin is not None
            process.stdin.close()
            if last_words := process.stdout.read():
                _report(last_words)

    def _by_wrk(self, workload: Workload, server: Server) -> Values:
        target, *arguments = workload.arguments
        check_http(server.port, workload)
        seconds = max(1, math.ceil(self.seconds))  # wrk knows whole seconds only
        command = [find_wrk(), "--threads=1", f"--connections={WRK_CONNECTIONS}", f"--duration={seconds}s"]
        command += [
            f"--script={HERE / 'load' / 'wrk.lua'}",
            *(f"--header={line}" for line in workload.fields),
        ]
        command += [f"http://{ADDRESS}:{server.port}{target}", "--", *arguments]
        cpu, own_cpu = server.cpu_seconds(), _children_cpu()
        output = self._run(command)
        cpu, own_cpu = server.cpu_seconds() - cpu, _children_cpu() - own_cpu
        report = _report(output)
        check_wrk(report, workload)
        requests, duration = report["messages"], report["seconds"]
        values = {
            "messages_per_second": requests / duration,
            "cpu_us_per_message": cpu * 1e6 / requests,
            "p50_us": report["p50_us"],
            "p99_us": report["p99_us"],
            "load_cpu": own_cpu / duration,
        }
        if workload.bulk:
            values["mib_per_second"] = report["bytes"] / duration / MIB
        return values

    def _run(self, command: list[str]) -> str:
        with pinned(self.cores):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        try:
            return process.communicate(timeout=self.seconds + RUN_TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            raise MeasurementError(f"not done after {self.seconds + RUN_TIMEOUT:g} s") from None
        finally:
            process.kill()
            process.wait()

    def _load_command(self, workload: Workload, server: Server, *arguments: str) -> list[str]:
        tls = ["--tls"] if workload.tls else []
        deflate = ["--deflate"] if workload.deflate else []
        fields = [f"--header={line}" for line in workload.fields]
        return [str(self.load_generator), *arguments, f"--port={server.port}", *tls, *deflate, *fields]


def check_http(port: int, workload: Workload) -> None:
    """Raise ``MeasurementError`` unless the server answers the requests of this workload correctly."""
    target, *arguments = workload.arguments
    numbers = [0, 1, ITEM_COUNT - 1] if "paths" in arguments else [0]
    for number in numbers:
        _check_answer(port, target.replace(http_app.NUMBER, f"{number:05}"), workload.fields)


def _check_answer(port: int, target: str, fields: Iterable[str] = ()) -> None:
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=ANSWER_TIMEOUT)
    try:
        _send_request(connection, target, fields)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise MeasurementError(f"{target} was not answered: {error!r}") from error
    finally:
        connection.close()
    if response.status != 200 or body != expected(target):
        raise MeasurementError(f"{target} was answered with {response.status} and {len(body)} wrong bytes")
    if "Date" not in response.headers:  # it costs time, so all servers must send it
        raise MeasurementError(f"{target} was answered without a Date")


def _send_request(connection: http.client.HTTPConnection, target: str, fields: Iterable[str]) -> None:
    upload = bytes(http_app.UPLOAD_SIZE) if target == http_app.UPLOAD_PATH else None
    connection.putrequest("GET" if upload is None else "POST", target, skip_accept_encoding=True)
    for line in fields:
        name, _, value = line.partition(": ")
        connection.putheader(name, value)
    if upload is not None:
        connection.putheader("Content-Length", str(len(upload)))
    connection.endheaders(upload)


def _check_that_it_serves_beside(count: int, port: int) -> None:
    """Raise ``MeasurementError`` unless one more connection is served; all earlier ones are accepted then."""
    try:
        _check_answer(port, "/hello")
    except MeasurementError as error:
        raise MeasurementError(f"while {count} connections wait, {error}") from error


def expected(target: str) -> bytes:
    """Return the body with which a request of an HTTP workload must be answered."""
    return target.encode() if target.startswith(http_app.ITEMS) else answers()[target]


def answers() -> dict[str, bytes]:
    """Return the paths of the HTTP workloads, and the body with which each must be answered."""
    return {
        "/hello": http_app.HELLO,
        **http_app.DOCUMENTS,
        http_app.FILE_PATH: http_app.FILE.read_bytes(),
        http_app.UPLOAD_PATH: str(http_app.UPLOAD_SIZE).encode(),
    }


def check_wrk(report: Mapping[str, float], workload: Workload) -> None:
    """Raise ``MeasurementError`` if wrk counted errors, or too few bytes for that many responses."""
    target = workload.arguments[0]
    requests = report["messages"]
    errors = report["errors"]
    if "Connection: close" not in workload.fields:
        errors += report["ends"]
    if errors or not requests:
        raise MeasurementError(f"wrk counted {errors:.0f} errors in {requests:.0f} requests")
    if report["bytes"] < requests * len(expected(target)):
        mean = report["bytes"] / requests
        raise MeasurementError(f"{target} was answered with {mean:.0f} bytes on average, which is too little")


def _report(output: str) -> dict[str, Any]:
    """Return the JSON object in the last line of a program's output."""
    last = output.strip().rpartition("\n")[2]
    try:
        report = json.loads(last)
    except ValueError:
        raise MeasurementError(f"the load generator printed no report but {last!r}") from None
    if "error" in report:
        raise MeasurementError(report["error"])
    assert isinstance(report, dict)
    return report


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
