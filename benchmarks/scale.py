"""What a delivery costs as processes are added: ``python -m benchmarks.scale --help``."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Timer
from typing import Any

from benchmarks import machine
from benchmarks.catalogue import PEERS
from benchmarks.measure import MeasurementError
from benchmarks.redis_server import RedisServer, redis_version
from benchmarks.report import cell, number, table
from benchmarks.running import ServerError, pinned
from benchmarks.summary import figure
from benchmarks.toolchain import MissingError, compile_load_generator, install_peers
from benchmarks.workers import Workers

PEER = next(peer for peer in PEERS if peer.name == "geventkws")
MAX_CONNECTIONS = 19_000
"""The most connections of one process: the load generator's, too, has other files open."""
COLUMNS = (
    ("seconds", "s to the last delivery"),
    ("cpu_us", "server CPU µs/delivery"),
    ("kib", "KiB/connection"),
)


@dataclass(frozen=True)
class Size:
    """So many processes, with so many connections each, which get so many publications."""

    processes: int
    connections: int
    publications: int

    @property
    def receivers(self) -> int:
        """How many connections there are in all."""
        return self.processes * self.connections


class Options(argparse.Namespace):
    """The command line."""

    processes: list[int]
    connections: int
    publications: int
    repeat: int
    timeout: float
    python: Path | None


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scale",
        description="Measure what a delivery costs on one channel over Redis, with more and more processes.",
    )
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2], metavar="N", help="processes of the server (1 2)"
    )
    parser.add_argument("--connections", type=int, default=1000, help="of each process (%(default)s)")
    parser.add_argument("--publications", type=int, default=10, help="of each run (%(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each size (%(default)s)")
    parser.add_argument(
        "--timeout", type=float, default=180, help="seconds after which a run is given up (%(default)s)"
    )
    parser.add_argument("--python", type=Path, help="run the servers with this Python, and install nothing")
    options = parser.parse_args(arguments, namespace=Options())
    counts = [*options.processes, options.connections, options.publications, options.repeat]
    if min(counts) < 1 or options.timeout <= 0:
        parser.error("all numbers must be 1 or more, and --timeout more than 0")
    if options.connections > MAX_CONNECTIONS:
        parser.error(f"--connections must be {MAX_CONNECTIONS} or less: add --processes instead")
    return options


class Receivers:
    """A load generator whose connections all wait for publications."""

    def __init__(self, load_generator: Path, connections: int, ports: str) -> None:
        command = [
            str(load_generator),
            "receive",
            "--greeted",
            f"--connections={connections}",
            f"--port={ports}",
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def report(self) -> dict[str, Any]:
        """Return what the load generator says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise MeasurementError("the load generator was ended, because the time of this run is over")
        report: dict[str, Any] = json.loads(line)
        if "error" in report:
            raise MeasurementError(report["error"])
        return report

    def publish(self) -> int:
        """Let the first connection send; return when, in nanoseconds of the monotonic clock."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        return int(self.report()["at_ns"])

    def received(self) -> int:
        """Wait until all have the next publication; return when they had, in the same time."""
        return int(self.report()["at_ns"])


class Scale:
    """Runs the sizes: servers on the upper half of the cores, Redis and load generators on the lower."""

    def __init__(self, python: Path, timeout: float) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self._python = python
        self._timeout = timeout
        self._server_cores = cores[len(cores) // 2 :]
        self._load_cores = cores[: len(cores) // 2] or cores
        self._load_generator = compile_load_generator()

    def run(self, size: Size) -> dict[str, float]:
        """Return what was measured, by the keys of ``COLUMNS``."""
        with (
            RedisServer(self._load_cores) as redis,
            Workers(PEER, self._python, self._server_cores, redis, size.processes) as workers,
        ):
            before = workers.memory_kib()
            with self._receivers(workers, size.connections) as receivers:
                kib = (workers.memory_kib() - before) / size.receivers
                publish(receivers)  # the first one makes what the others find
                cpu = workers.cpu_seconds()
                seconds = [publish(receivers) for _ in range(size.publications)]
                cpu = workers.cpu_seconds() - cpu
        return {
            "seconds": median(seconds),
            "cpu_us": cpu * 1e6 / (size.receivers * size.publications),
            "kib": kib,
        }

    @contextmanager
    def _receivers(self, workers: Workers, connections: int) -> Iterator[list[Receivers]]:
        """Open the connections, those of each server by a load generator of its own, all at the same time."""
        with ExitStack() as stack:
            receivers = []
            for server in workers.servers:
                with pinned(self._load_cores):
                    receivers.append(Receivers(self._load_generator, connections, server.ports))
                stack.enter_context(receivers[-1].process)
                timer = Timer(self._timeout, receivers[-1].process.kill)
                timer.start()
                stack.callback(receivers[-1].process.kill)
                stack.callback(timer.cancel)
            for each in receivers:
                each.report()
            yield receivers


def publish(receivers: Sequence[Receivers]) -> float:
    """Publish once; return the seconds until all have it."""
    start = receivers[0].publish()
    return (max([each.received() for each in receivers]) - start) / 1e9


def measure_all(scale: Scale, sizes: Sequence[Size], repeat: int) -> dict[Size, list[dict[str, float]]]:
    """Return what was measured, and report the progress; the sizes take turns."""
    runs: dict[Size, list[dict[str, float]]] = {size: [] for size in sizes}
    for size in [*sizes] * repeat:
        print(f"{size.processes} x {size.connections:,} ", end="", file=sys.stderr, flush=True)
        values = scale.run(size)
        runs[size].append(values)
        print(*(f"{number(values[key])} {title}" for key, title in COLUMNS), sep=", ", file=sys.stderr)
    return runs


def report(runs: dict[Size, list[dict[str, float]]]) -> str:
    """Return the table."""
    lines = []
    for size, values in runs.items():
        cells = [cell(figure([each[key] for each in values])) for key, _ in COLUMNS]
        lines.append([str(size.processes), f"{size.receivers:,}", *cells])
    return table(["processes", "connections", *(title for _, title in COLUMNS)], lines)


def main() -> int:
    """Measure what the command line asks for; the exit status is 1 if anything failed."""
    options = parse_options()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the servers inherit it
    sizes = [Size(count, options.connections, options.publications) for count in options.processes]
    try:
        python = options.python.absolute() if options.python else install_peers()
        facts = {**machine.facts([PEER], [], python), "Redis": redis_version()}
        runs = measure_all(Scale(python, options.timeout), sizes, options.repeat)
    except (MeasurementError, MissingError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    print(table(["machine", "what"], facts.items()), report(runs), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
