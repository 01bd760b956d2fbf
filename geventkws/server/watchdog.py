"""Code that blocks the hub is named in the log, with its stack, while it is still blocking.

Whatever does not wait through gevent (an unpatched library, a long computation) holds up every connection.
Only another thread can see that: the hub notes the time every now and then, and the thread checks how old the
note is. gevent has such a monitor, too, but it traces every switch between greenlets, which costs a tenth of
an echo.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from time import monotonic, process_time
from types import FrameType
from typing import Any
from weakref import ref

from gevent import monkey

from geventkws.loop.loop import Loop, allocate_lock
from geventkws.server.log_limit import LogLimit

logger = logging.getLogger("geventkws.server")

start_new_thread: Callable[..., int] = monkey.get_original("_thread", "start_new_thread")

LOOKS_PER_LIMIT = 4

LEAST_USE = 0.03
"""If not even the thread has run, the program is blamed only if it computed for this share of the time."""

_culprits = LogLimit()
"""What has been named within the last minute, by all servers, since several may share a hub."""


_locals: Any = monkey.get_original("_thread", "_local")()
"""Storage of native threads."""


class _SignOfLife:
    """An object that lives as long as its native thread."""


class Watchdog:
    """Watches one hub from a native thread."""

    def __init__(self, loop: Loop, limit: float) -> None:
        """Report what blocks the hub of ``loop`` for ``limit`` seconds, at the latest half as long again."""
        self._loop = loop
        self._limit = limit
        self._interval = limit / LOOKS_PER_LIMIT
        self._timer: Any = None
        self._noted_at = 0.0
        self._stopped = allocate_lock()
        self._sign_of_life: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Start to watch. In the hub's thread."""
        self._note()
        self._timer = self._loop.hub.loop.timer(self._interval, self._interval, ref=False)
        self._timer.start(self._note)
        self._stopped.acquire()
        # It ends with its thread, whose number may then be given to another.
        _locals.sign_of_life = getattr(_locals, "sign_of_life", None) or _SignOfLife()
        self._sign_of_life = ref(_locals.sign_of_life)
        start_new_thread(self._watch, ())

    def stop(self) -> None:
        """End the thread. Idempotent; in the hub's thread."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()
            self._stopped.release()

    def _note(self) -> None:
        self._noted_at = monotonic()

    # In the thread

    def _watch(self) -> None:
        told_at = looked_at = monotonic()
        used = process_time()
        while not self._stopped.acquire(True, self._interval) and self._has_hub():
            now, using = monotonic(), process_time()
            if now - looked_at > 2 * self._interval and using - used < LEAST_USE * (now - looked_at):
                # Not only the hub stood still, but the process or the machine.
                self._noted_at = now
            looked_at, used = now, using
            if now - max(self._noted_at, told_at) >= self._limit + self._interval:
                told_at = now
                self._tell(now - self._noted_at)

    def _has_hub(self) -> bool:
        """Return whether there is a hub to watch: it may have been destroyed, or its thread may be over."""
        return getattr(self._loop.hub, "loop", None) is not None and self._sign_of_life() is not None

    def _tell(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._loop.thread_id)
        if frame is not None and _culprits.allows(_code_of(frame)):
            stack = "".join(traceback.format_stack(frame))
            logger.warning("Nobody has been served for %.1f s, until this returns:\n%s", seconds, stack)


def _code_of(frame: FrameType | None) -> tuple[object, ...]:
    """Return the functions that are being called, without their current lines."""
    code = []
    while frame is not None:
        code.append(frame.f_code)
        frame = frame.f_back
    return tuple(code)
