"""Run the fuzzing client of the Autobahn test suite against the echo example, or against a server that runs.

The report is the suite's own, the verdict is stricter (``evaluation.py``); status 1 says that a case failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.compliance.evaluation import Case, evaluate, failures, summary
from tests.compliance.wstest import AGENT, AutobahnError, Suite, ended, follow

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = ROOT / ".venv" / "wstest"
REPORT = ROOT / "build" / "autobahn"
CASES = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*")
"""All that need no extension. The suite has no cases 8 and 11."""
LARGEST_MESSAGE = 16 * 1024 * 1024
"""In bytes; cases 9 send it."""
PATIENCE = 20.0
"""Seconds until the example must listen, and must end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what ``arguments`` (of the command line) say, print the verdict and return the status."""
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
    add("--server-url", metavar="URL", help="an echo service that runs: ws://host:port/path")
    add("--cases", nargs="+", metavar="PATTERN", default=CASES, help="cases to run, as 1.1.1 or 6.*")
    add("--jobs", type=int, metavar="N", default=2, help="fuzzing clients side by side")
    add("--timeout", type=float, metavar="SECONDS", default=900.0, help="time for all cases together")
    add("--report", type=Path, metavar="DIRECTORY", default=REPORT, help="where the report goes")
    add(
        "--environment", type=Path, metavar="DIRECTORY", default=ENVIRONMENT, help="where wstest is installed"
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> int:
    """Run the cases, write the report, print the verdict and return the status."""
    began = time.monotonic()
    suite = Suite(options.environment)
    cases = suite.cases(options.cases)
    report: Path = options.report.resolve()
    clear(report)
    server_log = report / "server.log"
    with ExitStack() as stack:
        url = options.server_url or stack.enter_context(echo_server(server_log))
        runs = Path(stack.enter_context(TemporaryDirectory()))
        fuzz(suite, url, cases, runs, options)
        collect(suite, report, sorted(runs.iterdir()))
    passed = verdict(cases, report / "index.json")
    print(f"{time.monotonic() - began:.0f} s. The report: {report / 'index.html'}")
    if server_log.exists() and "Traceback" in server_log.read_text(errors="replace"):
        raise AutobahnError(f"the server logged a traceback, see {server_log}")
    return 0 if passed else 1


def clear(report: Path) -> None:
    """Make the directory ``report``, or remove from it what an earlier run left."""
    report.mkdir(parents=True, exist_ok=True)
    for pattern in ("index.*", f"{AGENT}_case_*", "*.log"):
        for old in report.glob(pattern):
            old.unlink()


def fuzz(suite: Suite, url: str, cases: Sequence[Case], runs: Path, options: argparse.Namespace) -> None:
    """Divide ``cases`` among clients side by side; each leaves its results in a directory in ``runs``."""
    with ExitStack() as stack:
        clients = []
        for job in range(min(options.jobs, len(cases))):
            directory = runs / str(job + 1)
            directory.mkdir()
            clients.append(stack.enter_context(suite.client(url, cases[job :: options.jobs], directory)))
        follow(clients, len(cases), options.timeout)


def collect(suite: Suite, report: Path, runs: Sequence[Path]) -> None:
    """Write one report of all ``runs``, with their logs."""
    for directory in runs:
        (report / f"wstest-{directory.name}.log").write_bytes((directory / "wstest.log").read_bytes())
    suite.report(report, runs)


def verdict(cases: Sequence[Case], index: Path) -> bool:
    """Print the results of ``cases`` that the suite's ``index`` holds; return whether all passed."""
    outcomes = evaluate(cases, json.loads(index.read_text()).get(AGENT, {}))
    print(summary(outcomes))
    if failed := failures(outcomes):
        print(failed)
    return not failed


@contextmanager
def echo_server(log: Path) -> Iterator[str]:
    """Run the echo example, which writes to ``log``; its URL is the value."""
    command = [sys.executable, "examples/echo/server.py", "--host", "127.0.0.1", "--port", "0"]
    command += ["--max-message-size", str(LARGEST_MESSAGE)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield f"ws://127.0.0.1:{listening_port(server, log)}/echo"
        server.terminate()
        if not ended(server, within=PATIENCE):
            raise AutobahnError(f"the echo example did not end at SIGTERM, see {log}")
    finally:
        server.kill()
        server.wait()


def listening_port(server: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port that ``server`` logs when it listens."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"Listening on port (\d+)\n", log.read_text(errors="replace"))):
        if ended(server, within=0.05) or time.monotonic() > deadline:
            raise AutobahnError(f"the echo example does not listen, see {log}")
    return int(found[1])


if __name__ == "__main__":
    sys.exit(main())
