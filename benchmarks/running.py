"""A server as a process of its own: its cores, its time, its memory, its end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

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


class Running:
    """A running server, which answers when its ``with`` block begins, and ends with it."""

    _process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_it_answers(self) -> None:
        """Wait until it can be used; raise ``ServerError`` if that takes too long."""
        raise NotImplementedError

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
