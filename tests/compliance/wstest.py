"""Autobahn's fuzzing client, wstest: a program for Python 2.7, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.compliance.evaluation import Case

AGENT = "geventkws"
"""What the suite calls the server in its reports."""
IN_PYTHON_2 = Path(__file__).with_name("suite.py")
SUITE_TIMEOUT = 120.0
"""Seconds to list cases or to write a report."""


class AutobahnError(Exception):
    """The suite could not be run."""


class Suite:
    """The test suite in ``environment``, where `make autobahn` installed it."""

    def __init__(self, environment: Path) -> None:
        self._python = environment / "bin" / "python"
        self._wstest = environment / "bin" / "wstest"
        if not self._wstest.exists():
            raise AutobahnError(
                f"there is no {self._wstest}: `make autobahn` installs it, given a Python 2.7"
            )

    def cases(self, patterns: Sequence[str]) -> list[Case]:
        """Return the cases that match any of ``patterns``: "1.1.1", "6.*"."""
        return [Case(**case) for case in json.loads(self._ask("cases", *patterns))]

    def report(self, directory: Path, runs: Sequence[Path]) -> None:
        """Write index.html and index.json, and two files for each case, of all ``runs`` to ``directory``."""
        self._ask("report", str(directory), *map(str, runs))

    def _ask(self, *arguments: str) -> str:
        command = [str(self._python), "-W", "ignore", str(IN_PYTHON_2), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SUITE_TIMEOUT)
        if done.returncode:
            raise AutobahnError(done.stderr.strip())
        return done.stdout

    @contextmanager
    def client(self, url: str, cases: Sequence[Case], run: Path) -> Iterator[FuzzingClient]:
        """Run a fuzzing client for ``cases``, which leaves their results in the directory ``run``."""
        specification = run / "specification.json"
        server = {"agent": AGENT, "url": url}
        numbers = [case.id for case in cases]
        specification.write_text(json.dumps({"servers": [server], "cases": numbers, "outdir": str(run)}))
        command = [str(self._wstest), "--mode", "fuzzingclient", "--spec", str(specification)]
        log = run / "wstest.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield FuzzingClient(process, log)
        finally:
            process.kill()
            process.wait()


class FuzzingClient:
    """A client at work, and the log of what it does."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def begun(self) -> int:
        """How many cases it has begun."""
        return self._log.read_bytes().count(b"Running test case ID")

    def ended(self, within: float) -> bool:
        """Wait up to ``within`` seconds; return whether it has ended."""
        return ended(self._process, within)


def follow(clients: Sequence[FuzzingClient], total: int, timeout: float) -> None:
    """Print how many of the ``total`` cases have begun, until all ``clients`` have ended or time is over."""
    shown = 0
    deadline = time.monotonic() + timeout
    for client in clients:
        while not client.ended(within=0.2):
            if time.monotonic() > deadline:
                print(f"Time is over: {timeout:.0f} s")
                return
            begun = sum(client.begun for client in clients)
            if begun >= shown + max(1, total // 10):
                shown = begun
                print(f"{begun} of {total} cases", flush=True)


def ended(process: subprocess.Popen[bytes], within: float) -> bool:
    """Wait up to ``within`` seconds; return whether ``process`` has ended."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True
