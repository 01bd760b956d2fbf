"""Runs a peer's server as a process on a core of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar

from benchmarks.catalogue import Peer
from benchmarks.toolchain import ROOT, Certificate

Number = TypeVar("Number", int, float)

ADDRESS = "127.0.0.1"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 5.0


class ServerError(Exception):
    """A server did not start, or ended; with the last lines that it printed."""


@contextmanager
def pinned(cores: Iterable[int]) -> Iterator[None]:
    """Within the ``with`` block, start processes on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    # The clock of a process, numbered as by clock_getcpuclockid(3): all threads, in nanoseconds.
    return time.clock_gettime(~pid << 3 | 2)


class Server:
    """A peer's running server, which ends with the ``with`` block."""

    def __init__(
        self,
        peer: Peer,
        python: Path,
        cores: Iterable[int],
        certificate: Certificate | None = None,
        flags: Iterable[str] = (),
        module: str | None = None,
    ):
        self.peer = peer
        self.port = free_port()
        program = f"benchmarks.peers.{module or peer.module}"
        command = [str(python), "-m", program, f"--port={self.port}"]
        if certificate is not None:
            command += [f"--certfile={certificate.certfile}", f"--keyfile={certificate.keyfile}"]
        command += flags
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
        self._output = os.fdopen(descriptor, "rb")
        with pinned(cores):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **peer.environment},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Server:
        try:
            self.wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the server, by force if it takes too long."""
        children = self.processes()[1:]
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            for child in children:
                _kill(child)
            self._process.kill()
            self._process.wait()
        self._output.close()

    @property
    def ports(self) -> str:
        """The port, as the load generator takes it."""
        return str(self.port)

    def processes(self) -> list[int]:
        """Return the process ids of the server and of all its descendants."""
        found = [self._process.pid] if self._process.poll() is None else []
        for pid in found:
            found.extend(_children(pid))
        return found

    def cpu_seconds(self) -> float:
        """Return the CPU time that all its processes have used."""
        return sum(_of_living(cpu_seconds, pid) for pid in self.processes())

    def memory_kib(self) -> int:
        """Return the proportional set size of all its processes, in KiB."""
        return sum(_of_living(proportional_set_size, pid) for pid in self.processes())

    def output(self) -> str:
        """Return the last lines that the server printed, joined into one; empty if there are none."""
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in lines[-3:])

    def wait_until_it_listens(self) -> None:
        """Wait until a connection is accepted; raise ``ServerError`` if that takes too long."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerError(f"ended with status {self._process.returncode}: {self.output()}")
            try:
                socket.create_connection((ADDRESS, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise ServerError(f"did not listen within {START_TIMEOUT:g} s: {self.output()}")


def _of_living(read: Callable[[int], Number], pid: int) -> Number | Literal[0]:
    """Read something of a process; 0 if it has ended by now, as a child that lives briefly may have."""
    try:
        return read(pid)
    except OSError:
        if Path(f"/proc/{pid}").exists():
            raise
        return 0


def _children(pid: int) -> list[int]:
    lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for text in lists for child in text.split()]


def proportional_set_size(pid: int) -> int:
    """Return the proportional set size of a process, in KiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ServerError(f"the kernel does not report the memory of process {pid}")


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return
