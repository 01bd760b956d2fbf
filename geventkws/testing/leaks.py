"""Finds what a test leaves behind: greenlets that were started in it and have not ended."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any
from weakref import WeakSet

import gevent
from gevent import Greenlet


class GreenletWatch:
    """A context manager that records the greenlets started within it."""

    def __init__(self) -> None:
        self._started: WeakSet[Greenlet[..., Any]] = WeakSet()

    def __enter__(self) -> GreenletWatch:
        Greenlet.add_spawn_callback(self._started.add)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        Greenlet.remove_spawn_callback(self._started.add)

    def end_all(self, patience: float) -> list[str]:
        """Wait up to ``patience`` seconds for them to end; kill the rest, and return where each was."""
        alive = [greenlet for greenlet in list(self._started) if not greenlet.dead]
        gevent.joinall(alive, timeout=patience)
        stuck = [greenlet for greenlet in alive if not greenlet.dead]
        places = [_place(greenlet) for greenlet in stuck]
        gevent.killall(stuck, timeout=patience)
        return places


def _place(greenlet: Greenlet[..., Any]) -> str:
    frames = traceback.extract_stack(greenlet.gr_frame)
    own = [frame for frame in frames if "/gevent/" not in frame.filename] or frames
    where = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    return f"a greenlet has not ended: {greenlet!r}{where}"
