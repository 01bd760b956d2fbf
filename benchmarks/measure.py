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
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.catalogue import Peer
from benchmarks.peers import http_app
from benchmarks.running import ADDRESS, pinned
from benchmarks.server import Server
from benchmarks.toolchain import HERE, find_wrk
from benchmarks.workers import Workers
from benchmarks.workloads import ITEM_COUNT, MIB, SUBSCRIPTIONS, Workload

Values = dict[str, float]
"""What was measured: ``messages_per_second``, ``cpu_us_per_message``, ``p50_us``, ``p99_us`` and ``load_cpu``
(the part of its core that the load generator used), with ``mib_per_second`` if the workload is bulk, and
``wire_bytes_per_message`` if it is compressed; or ``kib_per_connection``; or ``bytes_per_subscription`` and
``redis_bytes_per_subscription``; or ``resubscribe_seconds`` and
``resubscribe_cpu_seconds``."""

Serving = Server | Workers

WRK_CONNECTIONS = 50
ANSWER_TIMEOUT = 10.0
"""Seconds that a single request may wait for its response."""
SETTLE = 0.3
"""Seconds for the greenlets or tasks of the last connections to settle before the memory is read."""
RESUBSCRIBE_POLL = 0.005
"""Seconds between two looks at the number of channels."""
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

    def measure_workers(self, workload: Workload, workers: Workers) -> Values:
        """Return what this workload measures on processes that share channels."""
        by_kind = {"subscriptions": self._subscriptions, "resubscribe": self._resubscribe}
        return by_kind.get(workload.kind, self._by_load)(workload, workers)

    def _by_load(self, workload: Workload, server: Serving) -> Values:
        self._open_once(workload, server)
        command = self._load_command(workload, server, *workload.arguments)
        command += [f"--seconds={self.seconds}", f"--warmup={min(0.5, self.seconds / 2)}"]
        command.append(f"--pid={','.join(map(str, server.processes()))}")
        report = _report(self._run(command))
        return {key: value for key, value in report.items() if isinstance(value, float)}

    def _open_once(self, workload: Workload, server: Serving) -> None:
        """Open a connection, so that a worker process has started and its CPU time is counted."""
        if workload.workers or server.peer.opening or "--socketio" in workload.arguments:
            return  # they have no other processes than those that listen
        tls = ["--tls"] if workload.tls else []
        once = [str(self.load_generator), "idle", "--connections=1", f"--port={server.ports}", *tls]
        _report(self._run(once))

    def _idle(self, workload: Workload, server: Server) -> Values:
        name, *arguments = workload.arguments
        with self._held(workload, server, name, *arguments, f"--connections={IDLE_BEFORE}"):
            before = server.memory_kib()
            with self._held(workload, server, name, *arguments) as count:
                return {"kib_per_connection": (server.memory_kib() - before) / count}

    def _subscriptions(self, workload: Workload, workers: Workers) -> Values:
        """Compare connections that have many channels of their own with as many that share one."""
        name, *arguments = workload.arguments
        with self._held(workload, workers, name, f"--connections={IDLE_BEFORE}"):
            before = _memory(workers)
            with self._held(workload, workers, name, *arguments):
                sharing = _memory(workers)
                with self._held(_subscribing(workload), workers, name, *arguments) as count:
                    subscribed = _memory(workers)
        kib = [
            last - 2 * middle + first for first, middle, last in zip(before, sharing, subscribed, strict=True)
        ]
        names = ("bytes_per_subscription", "redis_bytes_per_subscription")
        return {
            name: max(0.0, each * 1024 / (count * SUBSCRIPTIONS))
            for name, each in zip(names, kib, strict=True)
        }

    def _resubscribe(self, workload: Workload, workers: Workers) -> Values:
        """Let Redis cut the connection that messages arrive on; wait until it knows all channels again."""
        redis = workers.redis
        with self._held(_subscribing(workload), workers, *workload.arguments) as count:
            channels = redis.info("stats", "pubsub_channels")
            if channels < count * SUBSCRIPTIONS:
                raise MeasurementError(f"Redis knows {channels} of {count * SUBSCRIPTIONS} channels")
            cpu, start = workers.cpu_seconds(), time.monotonic()
            redis.ask("CLIENT KILL TYPE pubsub")
            while redis.info("stats", "pubsub_channels") < channels:
                if time.monotonic() > start + RUN_TIMEOUT:
                    raise MeasurementError(f"not subscribed again after {RUN_TIMEOUT:g} s")
                time.sleep(RESUBSCRIBE_POLL)
            return {
                "resubscribe_seconds": time.monotonic() - start,
                "resubscribe_cpu_seconds": workers.cpu_seconds() - cpu,
            }

    @contextmanager
    def _held(self, workload: Workload, server: Serving, *arguments: str) -> Iterator[int]:
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
                _check_that_it_serves_beside(count, int(server.ports))
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

    def _load_command(self, workload: Workload, server: Serving, *arguments: str) -> list[str]:
        tls = ["--tls"] if workload.tls else []
        deflate = ["--deflate"] if workload.deflate else []
        fields = [f"--header={line}" for line in workload.fields]
        opening = _opening(server.peer, workload.path) if workload.workers else server.peer.opening
        port = f"--port={server.ports}"
        return [str(self.load_generator), *arguments, port, *tls, *deflate, *fields, *opening]


def _opening(peer: Peer, path: str) -> list[str]:
    """Return how the connections of a channel workload begin, as arguments of the load generator."""
    if peer.socketio:
        query = path.partition("?")[2]
        return ["--socketio", f"--path=/socket.io/?EIO=4&transport=websocket&{query}"]
    return ["--greeted", f"--path={path}"]


def _subscribing(workload: Workload) -> Workload:
    """Return the workload with connections that each subscribe to channels of their own."""
    return replace(workload, path=f"{workload.path}?subscriptions={SUBSCRIPTIONS}")


def _memory(workers: Workers) -> tuple[int, int]:
    """Return the memory of the servers and that of Redis, in KiB."""
    return workers.memory_kib(), workers.redis.memory_kib()


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
