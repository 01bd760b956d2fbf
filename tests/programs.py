"""Programs that tests run: the examples, each as a process, as a person would start it."""

from __future__ import annotations

import codecs
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.helpers import free_port, require_program
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"

PYTHONPATH = os.pathsep.join((str(ROOT / "tests" / "startup"), str(ROOT)))
"""Where programs look for modules: what they run first, then the package and the tests."""


class Program:
    """A running program whose terminal is the test, which types, and expects output."""

    def __init__(self, *command: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""
        self._read_to = 0
        self._written = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while byte := self._process.stdout.read(1):  # more would wait for more, and a prompt ends no line
            with self._written:
                self.output += decoder.decode(byte)
                self._written.notify_all()

    def expect(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """Wait until the program has written what ``pattern`` matches, after the previous match."""
        with self._written:
            found = self._written.wait_for(
                lambda: re.compile(pattern).search(self.output, self._read_to), patience
            )
        assert found, f"expected {pattern!r} behind character {self._read_to} of:\n{self.output}"
        self._read_to = found.end()
        return found

    def type_in(self, text: str) -> None:
        """Type ``text`` unchanged."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def end_input(self) -> None:
        """Type Ctrl-D."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def ends_within(self, seconds: float) -> bool:
        """Wait up to this many seconds; return whether the program has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self) -> int:
        """Wait for the program to end, and return its exit status; ``output`` is then complete."""
        status = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            # With everything it started that is still alive: they share its output, which must end.
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Server(Program):
    """One of the examples' servers on 127.0.0.1; ``port`` and ``address`` are known once it listens."""

    port: int
    address: str

    def __init__(self, name: str, port: int) -> None:
        super().__init__(*python(f"{name}/server.py"), "--host", "127.0.0.1", "--port", str(port))

    def wait_until_it_listens(self) -> None:
        """Learn the port from the log."""
        self.port = int(self.expect(r"Listening on port (\d+)")[1])
        self.address = f"127.0.0.1:{self.port}"


@contextmanager
def server(name: str, port: int = 0) -> Iterator[Server]:
    """Run the server of the example ``name``, whose log must contain no traceback in the end."""
    with Server(name, port) as running:
        running.wait_until_it_listens()
        yield running
    assert "Traceback" not in running.output, running.output


class Cluster(Program):
    """An example on several processes, at ``address`` once it is up."""

    def __init__(self, *options: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        super().__init__(*python("cluster/cluster.py"), "--port", str(self.port), *options)

    def process(self, name: str) -> int:
        """Wait until the program of this name is up, and return its process."""
        wait_until(lambda: Path(f"/proc/{self._latest(name)}").exists())
        return self._latest(name)

    def _latest(self, name: str) -> int:
        return int(re.findall(rf"^{name} +process (\d+) +(?:/|port )", self.output, re.MULTILINE)[-1])


@contextmanager
def cluster(*options: str) -> Iterator[Cluster]:
    """Run the example ``cluster``, which must end everything that it has started."""
    for name in ("redis-server", "haproxy"):
        require_program(name)
    with Cluster(*options) as running:
        try:
            running.expect("Ctrl-C ends everything", 3 * PATIENCE)  # it is several programs that start
            yield running
        finally:
            running.signal(signal.SIGTERM)
            status = running.wait()
        assert status == 0, running.output
        assert "Traceback" not in running.output, running.output


def python(path: str) -> Sequence[str]:
    """Return the command of the example in Python at ``path``."""
    return (sys.executable, "-u", str(EXAMPLES / path))


def node(path: str) -> Sequence[str]:
    """Return the command of the example for Node at ``path``; skip the test if it cannot run."""
    script = EXAMPLES / path
    if not (script.parent / "node_modules").is_dir():
        pytest.skip(f"{script.parent.relative_to(ROOT)} has no node_modules: run `npm install` there")
    return (require_program("node"), str(script))


TERMINALS: dict[str, tuple[Callable[[str], Sequence[str]], str]] = {
    "python": (python, "chat/client.py"),
    "node": (node, "chat/node/chat.js"),
}
"""The chat's terminal clients: the function that makes the command, and the file."""

OpenTerminal = Callable[[str, Server], Program]
"""Starts a terminal client by its name in ``TERMINALS``, and waits for its prompt."""
