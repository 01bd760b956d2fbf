"""A program that takes part in a soak: it says where it listens, and ends when it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import gevent

from tests.programs import ROOT
from tests.waiting import LONG


class Part:
    """A running program, which says what it has to say in lines of JSON.

    On a machine that is busy with many clients, it takes long to start and to end.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def line(self) -> Any:
        """Wait for the next line of output, and return what it says."""
        assert self.process.stdout is not None
        with gevent.Timeout(LONG):
            return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        """Tell the program to end, and see to it that it does."""
        self.process.terminate()
        try:
            self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()


@contextmanager
def part(
    *command: str, environment: Mapping[str, str] | None = None, log: IO[bytes] | None = None
) -> Iterator[Part]:
    """Run a module of the soak with its arguments; its errors go to ``log``, if there is one.

    Raises:
        RuntimeError: It did not end well.
    """
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
    ) as process:
        running = Part(process)
        try:
            yield running
        finally:
            running.end()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
