"""Requests in greenlets of the user's choice: those that a server's ``spawn`` makes."""

from __future__ import annotations

from collections import deque
from typing import Any

from geventkws.loop.workers import Borrower


class Spawning:
    """Starts requests in order of arrival; while the pool is full, up to ``max_waiting_requests`` wait."""

    def __init__(self, server: Any) -> None:
        """``server`` is a gevent server, with ``pool`` and ``_spawn``, which it does not declare."""
        self._server = server
        self._waiting: deque[Borrower] = deque()
        self._awaits_room = False

    def start(self, borrower: Borrower) -> bool:
        """Have a greenlet made for a request; return ``False`` if too many others are waiting for one."""
        limit = self._server.options.max_waiting_requests
        if limit is not None and len(self._waiting) >= limit:
            return False
        self._waiting.append(borrower)
        self._start_waiting()
        return True

    def forsake(self) -> None:
        """Forget who waits: this is a child process, and the requests belong to its parent."""
        self._waiting.clear()

    def _start_waiting(self) -> None:
        server = self._server
        while self._waiting:
            if server.pool is not None and server.pool.full():
                if not self._awaits_room:
                    self._awaits_room = True
                    server.pool._semaphore.rawlink(self._pool_has_room)
                return
            borrower = self._waiting.popleft()
            borrower._blocked(server._spawn(borrower._work))

    def _pool_has_room(self, _semaphore: object) -> None:
        self._awaits_room = False
        self._start_waiting()
