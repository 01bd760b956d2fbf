"""The health of servers: what must stay flat, and what their log may contain."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import gevent

Figures = Mapping[str, float]

LOOK = 3.0
"""Seconds between two looks at a server."""

FLAT = {"memory": 8 * 2**20, "descriptors": 30, "greenlets": 60, "watchers": 60, "objects": 20_000}
"""What may not grow, with how much more than a tenth it may vary by chance, in its own unit."""
LEFT = {"descriptors": 3, "greenlets": 5, "watchers": 5}
"""What must go away with the clients, with how much may stay."""
EXPECTED = re.compile(r"(tests\.soak\.server\.|__main__\.)?Mischief|gevent\.timeout\.Timeout: ")
TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(.*)", re.MULTILINE)


def usage(process: int) -> Figures:
    """Return the memory in bytes and the descriptors of a process of this machine."""
    folder = Path(f"/proc/{process}")
    return {
        "memory": int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": len(os.listdir(folder / "fd")),
    }


@contextmanager
def gauged(processes: Mapping[str, int], complaints: list[str], pause: float = LOOK) -> Iterator[None]:
    """Look at the usage of processes, by name, every ``pause`` seconds; at the end, complain of growth."""
    samples: dict[str, list[Figures]] = {name: [] for name in processes}

    def keep_looking() -> None:
        while True:
            for name, process in processes.items():
                samples[name].append(usage(process))
            gevent.sleep(pause)

    looking = gevent.spawn(keep_looking)
    try:
        yield
    finally:
        looking.kill()
    for name, figures in samples.items():
        complaints.extend(growth(figures, name))


def growth(samples: Sequence[Figures], whose: str = "server") -> Iterator[str]:
    """Yield which of the figures that must stay flat have grown over the second half of the run."""
    half = samples[len(samples) // 2 :]
    earlier, later = half[: len(half) // 2], half[len(half) // 2 :]
    if not earlier:
        return
    for name, grace in FLAT.items():
        if name not in half[0]:
            continue
        before, after = (median(each[name] for each in part) for part in (earlier, later))
        if after > before * 1.1 + grace:
            yield f"the {whose}'s {name} grew from {before:.0f} to {after:.0f}"


def remains(before: Figures, after: Figures) -> Iterator[str]:
    """Yield what is left when all clients are gone, compared with the time before they came."""
    for name, grace in LEFT.items():
        if after[name] > before[name] + grace:
            yield f"{after[name] - before[name]:.0f} {name} are left"
    if after["present"]:
        yield f"{after['present']:.0f} connections were never disconnected"
    if after["unmatched"]:
        yield f"disconnected was called {after['unmatched']:.0f} times too often"


def tracebacks(log: str) -> Iterator[str]:
    """Yield the last lines of tracebacks that no mischief explains."""
    for found in TRACEBACK.finditer(log):
        if not EXPECTED.match(found[1]):
            yield f"the server logged {found[1]}"
