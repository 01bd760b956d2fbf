"""For how long the machine has kept a program waiting for a core: no fault of the program's."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

OWN_THREAD = Path("/proc/thread-self/schedstat")


def of_process(process: int) -> Path:
    """Return where the kernel counts for a process of one thread, or for the first thread of another."""
    return Path(f"/proc/{process}/schedstat")


def kept_waiting(*counts: Path) -> float:
    """Return the seconds that they have waited, together; 0 where the kernel does not count them."""
    return sum(map(_kept_waiting, counts))


def _kept_waiting(count: Path) -> float:
    try:
        return int(count.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def fair_clock(*counts: Path) -> float:
    """Return the time in seconds, by a clock that stands still while one of them waits for a core."""
    return monotonic() - kept_waiting(*counts)
