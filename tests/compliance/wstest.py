"""Autobahn's fuzzing client, wstest: a program for Python 2.7, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.compliance.evaluation import Case

AGENT = "geventkws"
"""The name of the server in the suite's reports."""
LOG = "wstest.log"
IN_PYTHON_2 = Path(__file__).with_name("suite.py")
SUITE_TIMEOUT = 120.0
"""Seconds to list cases or to write a report."""


class AutobahnError(Exception):
    """The suite could not be run."""


def environment_of_python_2() -> dict[str, str]:
    """Return the environment without the path to modules of Python 3."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


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
        done = subprocess.run(
            command, env=environment_of_python_2(), capture_output=True, text=True, timeout=SUITE_TIMEOUT
        )
        if done.returncode:
            raise AutobahnError(done.stderr.strip())
        return done.stdout

    def fuzz(self, url: str, cases: Sequence[Case], run: Path, timeout: float) -> None:
        """Run a fuzzing client for ``cases``, which writes results and its log to the directory ``run``.

        After ``timeout`` seconds it is ended, and leaves no results.
        """
        specification = run / "specification.json"
        server = {"agent": AGENT, "url": url}
        numbers = [case.id for case in cases]
        specification.write_text(json.dumps({"servers": [server], "cases": numbers, "outdir": str(run)}))
        command = [str(self._wstest), "--mode", "fuzzingclient", "--spec", str(specification)]
        environ = {**environment_of_python_2(), "PYTHONUNBUFFERED": "1"}
        with (run / LOG).open("wb") as log:
            try:
                subprocess.run(command, env=environ, stdout=log, stderr=log, timeout=timeout, check=False)
            except subprocess.TimeoutExpired:
                log.write(b"Time is over.\n")
