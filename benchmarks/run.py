"""Measures geventkws and its peers: ``python -m benchmarks.run --help``."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from benchmarks import chart, machine
from benchmarks.catalogue import BEFORE, PEERS, Peer, of_checkout
from benchmarks.measure import MeasurementError, Meter, Values
from benchmarks.redis_server import RedisServer
from benchmarks.report import NOW, number, report
from benchmarks.running import ServerError
from benchmarks.server import Server
from benchmarks.summary import Record
from benchmarks.toolchain import (
    HERE,
    Certificate,
    MissingError,
    compile_load_generator,
    install_peers,
    make_certificate,
)
from benchmarks.workers import Workers
from benchmarks.workloads import WORKLOADS, Workload

BESIDE = {
    "load": 1.5,
    "idle": 12.0,
    "http": 1.0,
    "http-idle": 6.0,
    "subscriptions": 20.0,
    "resubscribe": 20.0,
}
"""Seconds that a run of each kind takes besides the measured time, on a typical machine: to start and end the
server, open the connections and warm up."""


class Options(argparse.Namespace):
    """The command line."""

    peer: list[str]
    workload: list[str]
    seconds: float
    repeat: int
    quick: bool
    against: Path | None
    python: Path | None
    output: Path
    list: bool


def make_parser() -> argparse.ArgumentParser:
    """Return the options of the command line, with their help."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description="Measure geventkws and its peers side by side."
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        choices=[peer.name for peer in PEERS],
        metavar="NAME",
        help="measure this peer only (may be given several times)",
    )
    parser.add_argument(
        "--workload",
        action="append",
        default=[],
        choices=[workload.name for workload in WORKLOADS],
        metavar="NAME",
        help="measure this workload only (may be given several times)",
    )
    parser.add_argument("--seconds", type=float, default=3, help="measured time of each run (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each peer and workload (%(default)s)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="the same as --seconds 1 --repeat 1 --output benchmarks/results/quick, to see what works",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="also measure the geventkws in this directory; its extensions must be built in place",
    )
    parser.add_argument("--python", type=Path, help="run the servers with this Python, and install nothing")
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "latest", help="where to save, without the suffix"
    )
    parser.add_argument("--list", action="store_true", help="list the peers and the workloads")
    return parser


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = make_parser()
    options = parser.parse_args(arguments, namespace=Options())
    if options.quick:  # explicit options take precedence
        parser.set_defaults(seconds=1.0, repeat=1, output=HERE / "results" / "quick")
        options = parser.parse_args(arguments, namespace=Options())
    if options.seconds <= 0 or options.repeat < 1:
        parser.error("--seconds must be more than 0, and --repeat at least 1")
    if options.against is not None:
        if options.peer and NOW not in options.peer:
            parser.error(f"--against compares with the peer {NOW}: add --peer {NOW}, or leave out --peer")
        options.against = options.against.resolve()
    if options.python is not None:
        options.python = options.python.absolute()  # not resolved: in an environment, it is a link
    return options


def chosen_peers(options: Options) -> list[Peer]:
    """Return the peers that the command line asks for, including that of another checkout."""
    peers = [peer for peer in PEERS if peer.name in options.peer or not options.peer]
    return [*peers, of_checkout(options.against)] if options.against is not None else peers


def schedule(
    peers: Sequence[Peer], workloads: Sequence[Workload], repeat: int
) -> list[tuple[int, Workload, Peer]]:
    """Return what to measure, in order; each repetition begins with another peer."""
    runs = []
    for repetition in range(repeat):
        order = order_of(peers, repetition, repeat)
        runs += [
            (repetition, workload, peer) for workload in workloads for peer in order if peer.does(workload)
        ]
    return runs


def order_of(peers: Sequence[Peer], repetition: int, repeat: int) -> list[Peer]:
    """Return the peers in the order of this repetition; two checkouts are adjacent, each first in turn."""
    others = [peer for peer in peers if peer.name != BEFORE.name]
    start = repetition * len(others) // repeat
    order = [*others[start:], *others[:start]]
    for before in (peer for peer in peers if peer.name == BEFORE.name):
        ours = next(index for index, peer in enumerate(order) if peer.name == NOW)
        order.insert(ours + 1 - repetition % 2, before)
    return order


def estimated_time(runs: Sequence[tuple[int, Workload, Peer]], seconds: float) -> float:
    """Return about how many seconds these runs take; those of memory need no measured time."""
    kinds = [workload.kind for _, workload, _ in runs]
    return sum(BESIDE[kind] + (seconds if kind in ("load", "http") else 0) for kind in kinds)


class Benchmark:
    """Runs servers, one at a time, on the last core of this machine; the load comes from the other cores."""

    def __init__(self, python: Path, seconds: float) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.python = python
        self.server_cores = cores[-1:]
        self.meter = Meter(compile_load_generator(), cores[:-1] or cores, seconds)
        self._certificate: Certificate | None = None

    def run(self, repetition: int, workload: Workload, peer: Peer) -> Record:
        """Measure a peer once; errors are in the record."""
        try:
            if workload.workers:
                values = self._run_workers(workload, peer)
                return Record(peer.name, workload.name, repetition, values)
            certificate = self._get_certificate() if workload.tls else None
            with Server(peer, self.python, self.server_cores, certificate, workload.flags) as server:
                values = self._measure(lambda: self.meter.measure(workload, server), server)
        except (MeasurementError, MissingError, ServerError) as error:
            return Record(peer.name, workload.name, repetition, error=str(error))
        return Record(peer.name, workload.name, repetition, values)

    def _run_workers(self, workload: Workload, peer: Peer) -> Values:
        with (
            RedisServer(self.meter.cores) as redis,
            Workers(peer, self.python, self.server_cores, redis, workload.workers) as workers,
        ):
            return self._measure(lambda: self.meter.measure_workers(workload, workers), workers)

    @staticmethod
    def _measure(measure: Callable[[], Values], server: Server | Workers) -> Values:
        try:
            return measure()
        except MeasurementError as error:
            said = server.output()
            raise MeasurementError(f"{error} (the server: {said})" if said else str(error)) from error

    def _get_certificate(self) -> Certificate:
        self._certificate = self._certificate or make_certificate()
        return self._certificate


def measure_all(benchmark: Benchmark, runs: Sequence[tuple[int, Workload, Peer]]) -> Iterator[Record]:
    """Yield the records, and report the progress; Ctrl-C ends the run early."""
    width = len(str(len(runs)))
    try:
        for count, (repetition, workload, peer) in enumerate(runs, 1):
            print(
                f"[{count:{width}}/{len(runs)}] {workload.name:16} {peer.name:17} ",
                end="",
                file=sys.stderr,
                flush=True,
            )
            record = benchmark.run(repetition, workload, peer)
            print(outcome(record), file=sys.stderr, flush=True)
            yield record
    except KeyboardInterrupt:
        print("interrupted: the following was measured so far", file=sys.stderr)


def outcome(record: Record) -> str:
    """Return a record in a few words."""
    if record.error is not None:
        return f"failed: {record.error}"
    if "kib_per_connection" in record.values:
        return f"{number(record.values['kib_per_connection']):>9} KiB"
    if "bytes_per_subscription" in record.values:
        return f"{number(record.values['bytes_per_subscription']):>9} B"
    if "resubscribe_seconds" in record.values:
        return f"{number(record.values['resubscribe_seconds']):>9} s"
    rate, cpu = record.values["messages_per_second"], record.values["cpu_us_per_message"]
    return f"{number(rate):>9}/s {number(cpu):>7} µs"


def save(
    options: Options, facts: dict[str, str], settings: dict[str, str], records: Sequence[Record], text: str
) -> None:
    """Write the JSON file, the tables and the chart."""
    output = options.output
    output.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": facts,
        "settings": settings,
        "seconds": options.seconds,
        "repeat": options.repeat,
        "records": [asdict(record) for record in records],
    }
    output.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    output.with_suffix(".md").write_text(text)
    output.with_suffix(".svg").write_text(chart.svg(chart.panels(records)))
    print(f"Saved {output}.json, .md and .svg", file=sys.stderr)


def list_all() -> None:
    """Print the peers and the workloads."""
    for title, entries in (("peers", PEERS), ("workloads", WORKLOADS)):
        print(title)
        for entry in entries:
            print(f"  {entry.name:26}{entry.title}")


def main() -> int:
    """Measure what the command line asks for; the exit status is 1 if anything failed."""
    options = parse_options()
    if options.list:
        list_all()
        return 0
    peers = chosen_peers(options)
    workloads = [
        workload for workload in WORKLOADS if workload.name in options.workload or not options.workload
    ]
    runs = schedule(peers, workloads, options.repeat)
    duration = timedelta(seconds=round(estimated_time(runs, options.seconds)))
    print(f"{len(runs)} runs, about {duration} h:m:s in all", file=sys.stderr, flush=True)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the servers inherit it
    try:
        python = options.python or install_peers()
        facts = machine.facts(peers, workloads, python, options.against)
        settings = machine.all_settings(peers, workloads, python)
        benchmark = Benchmark(python, options.seconds)
    except MissingError as error:
        print(error, file=sys.stderr)
        return 1
    records = list(measure_all(benchmark, runs))
    text = report(workloads, records, facts, settings)
    print(text)
    save(options, facts, settings, records, text)
    return int(any(record.error is not None for record in records))


if __name__ == "__main__":
    sys.exit(main())
