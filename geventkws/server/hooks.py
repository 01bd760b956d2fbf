"""What a program does once when its server has started, and once when it stops."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gevent import Greenlet

logger = logging.getLogger("geventkws.server")

Hook = Callable[[], object]


class Hooks:
    """The functions of one server, each called at most once."""

    def __init__(self, on_start: Hook | None, on_stop: Hook | None) -> None:
        self._on_start = on_start
        self._on_stop = on_stop
        self._due: Hook | None = None

    def start(self) -> None:
        """Call ``on_start``. Only if it returns will ``on_stop`` be called."""
        if self._on_start is not None:
            self._on_start()
        self._due = self._on_stop

    def stop(self, seconds: float) -> None:
        """Call ``on_stop`` and wait for it, but no longer than ``seconds``. What it raises is logged."""
        on_stop, self._due = self._due, None
        if on_stop is None:
            return
        greenlet = Greenlet.spawn(_guarded, on_stop)
        greenlet.join(seconds)
        if not greenlet.ready():
            logger.warning("on_stop has not returned after %.3g s: stopping without it", seconds)

    def forsake(self) -> None:
        """Call nothing from now on: this is a child process, and stopping is its parent's business."""
        self._due = None


def _guarded(on_stop: Hook) -> None:
    try:
        on_stop()
    except BaseException:  # a gevent.Timeout, too
        logger.exception("on_stop failed")
