"""Runs the fuzzing client of the Autobahn test suite against the echo example, or against a running server.

The reports are the suite's own, one for each mode; the verdict is stricter (``evaluation.py``). Status 1
means that a case failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.compliance.evaluation import Case, evaluate, failures, summary
from tests.compliance.modes import MODES, echo_server
from tests.compliance.selection import parts, sample
from tests.compliance.wstest import AGENT, LOG, AutobahnError, Suite
from tests.programs import ROOT

ENVIRONMENT = ROOT / ".venv" / "wstest"
REPORT = ROOT / "build" / "autobahn"
CASES_A_CLIENT = 26
"""The most cases for each client: with small parts, the cores are busy almost to the end."""


@dataclass(frozen=True)
class Target:
    """A server, the cases that it must pass, and where their report goes."""

    name: str
    url: str
    cases: Sequence[Case]
    report: Path
    runs: list[Path] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what ``arguments`` (of the command line) ask for, print the verdicts and return the status."""
    options = parse(arguments)
    try:
        return run(options)
    except AutobahnError as error:
        print(f"autobahn: {error}", file=sys.stderr)
        return 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        prog="autobahn",
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    modes = partial(add, nargs="+", metavar="MODE", choices=list(MODES))
    modes("--modes", default=list(MODES), help="how the example is served")
    modes("--sample", default=[], help="modes that run one in 18 of cases 12 and 13, and all others")
    add("--server-url", metavar="URL", help="an echo service that runs, in place of the example")
    add("--cases", nargs="+", metavar="PATTERN", default=["*"], help="cases to run, as 1.1.1 or 6.*")
    add("--jobs", type=int, metavar="N", default=os.cpu_count() or 1, help="fuzzing clients side by side")
    add("--timeout", type=float, metavar="SECONDS", default=3600.0, help="time for all cases together")
    add("--report", type=Path, metavar="DIRECTORY", default=REPORT, help="where the reports go, one a mode")
    add(
        "--environment", type=Path, metavar="DIRECTORY", default=ENVIRONMENT, help="where wstest is installed"
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Run the cases, write the reports, print the verdicts and return the status."""
    began = time.monotonic()
    suite = Suite(options.environment)
    cases = suite.cases(options.cases)
    with TemporaryDirectory() as directory, served(options, cases, Path(directory)) as targets:
        fuzz(suite, targets, Path(directory), options.jobs, began + options.timeout)
        passed = [verdict(suite, target) for target in targets]
    print(f"\n{time.monotonic() - began:.0f} s")
    return 0 if all(passed) else 1


@contextmanager
def served(options: argparse.Namespace, cases: Sequence[Case], directory: Path) -> Iterator[list[Target]]:
    """Serve the echo example in each mode of ``options``; yields the targets to run the cases against."""
    with ExitStack() as stack:
        if options.server_url:
            yield [Target("server", options.server_url, cases, cleared(options.report / "server"))]
            return
        targets = []
        for name in dict.fromkeys(options.modes):
            report = cleared(options.report / name)
            private = directory / name
            private.mkdir()
            url = stack.enter_context(echo_server(MODES[name], private, report / "server.log"))
            targets.append(Target(name, url, sample(cases) if name in options.sample else cases, report))
        yield targets


def cleared(report: Path) -> Path:
    """Make the directory ``report``, or remove what an earlier run left in it; return its absolute path."""
    report.mkdir(parents=True, exist_ok=True)
    for pattern in ("index.*", f"{AGENT}_case_*", "*.log"):
        for old in report.glob(pattern):
            old.unlink()
    return report.resolve()


def fuzz(suite: Suite, targets: Sequence[Target], directory: Path, jobs: int, deadline: float) -> None:
    """Run all cases, with ``jobs`` clients at a time, until the deadline on the monotonic clock.

    The results of each client are in a directory of its own in ``directory``, one of the target's ``runs``.
    """
    total = sum(len(target.cases) for target in targets)
    done = shown = 0
    pool = ThreadPoolExecutor(jobs)

    def client(target: Target, cases: Sequence[Case], run: Path) -> int:
        suite.fuzz(target.url, cases, run, max(0.0, deadline - time.monotonic()))
        return len(cases)

    try:
        clients = []
        for target in targets:
            for cases in parts(target.cases, CASES_A_CLIENT, jobs):
                target.runs.append(directory / f"{target.name}-{len(target.runs)}")
                target.runs[-1].mkdir()
                clients.append(pool.submit(client, target, cases, target.runs[-1]))
        for ended in as_completed(clients):
            done += ended.result()
            if done >= shown + total / 10:
                shown = done
                print(f"{done} of {total} cases", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)


def verdict(suite: Suite, target: Target) -> bool:
    """Write the report of ``target``, print the results, and return whether all cases passed."""
    suite.report(target.report, target.runs)
    (target.report / LOG).write_bytes(b"".join((run / LOG).read_bytes() for run in target.runs))
    results = json.loads((target.report / "index.json").read_text()).get(AGENT, {})
    outcomes = evaluate(target.cases, results)
    print(f"\n{target.name}: {target.report / 'index.html'}\n{summary(outcomes)}")
    if failed := failures(outcomes):
        print(failed)
    return not failed


if __name__ == "__main__":
    sys.exit(main())
