"""Where native threads wait until a connection has room for their messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geventkws.loop.hub_loop import allocate_lock

CALL_SIZE = 256
"""Bytes that a queued call takes beside its message: small messages are not free."""


class ThreadGate:
    """Counts the bytes that threads have queued for a connection, and holds the threads over its limit.

    The locks are real ones, whatever gevent has patched: it is threads that wait here, not greenlets.
    """

    __slots__ = ("_lock", "_queued", "_waiting")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._queued = 0
        self._waiting: list[Any] = []

    def enter(self, size: int, is_open: Callable[[], bool], room: Callable[[], int]) -> bool:
        """Wait until ``room()`` exceeds what is queued, then count a message of ``size`` bytes as queued.

        Returns ``False``, at once or later, when the connection is no longer open.
        """
        while True:
            with self._lock:
                if not is_open():
                    return False
                if room() > self._queued:
                    self._queued += size + CALL_SIZE
                    return True
                turn = allocate_lock()
                turn.acquire()
                self._waiting.append(turn)
            # ``open`` changes what is asked above before it takes the lock, so no wake-up is missed.
            turn.acquire()

    def leave(self, size: int) -> None:
        """Count a message of ``size`` bytes as handed over. In the hub."""
        with self._lock:
            self._queued -= size + CALL_SIZE

    def open(self) -> None:
        """Let the waiting threads look again. In the hub, after room was made or the connection ended."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for turn in waiting:
            turn.release()
