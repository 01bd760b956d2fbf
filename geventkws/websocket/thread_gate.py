"""Where native threads wait, or are turned away, until a connection has room for their messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geventkws.loop.loop import allocate_lock

CALL_SIZE = 256
"""Bytes that a queued call takes besides its message: small messages are not free."""


class ThreadGate:
    """Counts the bytes that threads have queued for a connection, and stops the threads at its limit.

    The locks are real ones, whatever gevent has patched: threads wait here, not greenlets.
    """

    __slots__ = ("_is_shut", "_lock", "_queued", "_waiting")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._queued = 0
        self._is_shut = False
        self._waiting: list[Any] = []

    def enter(self, size: int, is_open: Callable[[], bool], room: Callable[[], int]) -> bool:
        """Wait until ``room()`` exceeds what is queued, then count a message of ``size`` bytes as queued.

        Returns ``False``, at once or later, when the connection is no longer open.
        """
        while True:
            with self._lock:
                if self._is_shut or not is_open():
                    return False
                if self._has_taken(size, room):
                    return True
                turn = allocate_lock()
                turn.acquire()
                self._waiting.append(turn)
            # ``open`` is called after the conditions above have changed, so no wake-up is missed.
            turn.acquire()

    def enter_or_shut(self, size: int, is_open: Callable[[], bool], room: Callable[[], int]) -> bool | None:
        """Count a message as ``enter`` does, but never wait: if there is no room, shut the gate.

        Returns ``None`` to the caller that shuts it, which must end the connection; then ``False`` to all.
        """
        with self._lock:
            if self._is_shut or not is_open():
                return False
            if self._has_taken(size, room):
                return True
            self._is_shut = True
        self.open()
        return None

    def _has_taken(self, size: int, room: Callable[[], int]) -> bool:
        if room() <= self._queued:
            return False
        self._queued += size + CALL_SIZE
        return True

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
