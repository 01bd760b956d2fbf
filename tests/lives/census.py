"""What a life may leave behind: nothing."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
from greenlet import greenlet

from tests.lives.server import Mourned

GRACE = {"objects": 200, "descriptors": 4, "greenlets": 8, "watchers": 8, "references": 3000, "KiB": 2048}
"""How much more there may be of each by chance, however many lives there were: clients are counted, too."""
SHARE = {"objects": 0.05, "references": 0.1, "KiB": 0.05}
"""How much more for each life, which is less than one object, and 52 bytes."""

Census = dict[str, int]


def take() -> Census:
    """Count everything."""
    for _ in range(3):
        gc.collect()
    with suppress(AttributeError):  # of glibc: without it, free memory would count as far as it was ever used
        ctypes.CDLL(None).malloc_trim(0)
    objects = gc.get_objects()
    count = {
        "objects": len(objects),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "greenlets": sum(issubclass(type(each), greenlet) for each in objects),
        "watchers": gevent.get_hub().loop.activecnt,
        "KiB": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024,
        "present": Mourned.present,
    }
    if hasattr(sys, "gettotalrefcount"):  # a debug build of Python
        count["references"] = sys.gettotalrefcount() - sum(map(sys.getrefcount, _lost_by_cython(objects)))
    return count


def _lost_by_cython(objects: list[Any]) -> Iterator[type]:
    """Yield Cython's own types: Cython 3.3 keeps a reference to one for each generator or inner function."""
    for each in objects:
        if isinstance(each, type) and str(each.__module__).startswith("_cython_"):
            yield each


def left(before: Census, after: Census, lives: int) -> Iterator[str]:
    """Yield what so many lives have left behind."""
    for name, count in after.items():
        more = count - before[name]
        if more > GRACE.get(name, 0) + SHARE.get(name, 0) * lives:
            yield f"{more} {name}"
