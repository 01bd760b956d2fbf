"""Commands to Redis, on one connection for all greenlets of a thread.

Whoever comes while others are being served waits, and goes with all who wait into the next batch: they leave
in one send.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

import gevent
from gevent.event import AsyncResult
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

from geventkws.pubsub.redis.link import LOST, Address, Backoff, run_id
from geventkws.pubsub.redis.scripts import ALL, Script
from geventkws.pubsub.values import BrokerRefused, BrokerUnavailable

SOCKET_TIMEOUT = 5.0
"""Seconds for an answer to arrive."""

PATIENCE = 10.0
"""Seconds for which a command is repeated while Redis is away: a last attempt may take as long again."""

MAX_BATCH = 500
"""Commands in one batch."""

MAX_BATCH_SIZE = 1024 * 1024
"""Bytes of messages in one batch, unless a single message is larger."""

LOGIN = (AuthenticationError, NoPermissionError)
"""What a server says that will not let us in."""

ELSEWHERE = (BusyLoadingError, NoScriptError, ReadOnlyError)
"""Answers of a server that cannot serve us, now or any longer: we connect again."""

Words = Sequence[str | bytes | int | float]


class Request:
    """A command, and what becomes of it."""

    def __init__(self, words: Callable[[str], Words], size: int) -> None:
        """``words(run_id)`` is the command, which may be carried out twice without harm."""
        self.words = words
        self.size = size
        self.outcome: AsyncResult[Any] = AsyncResult()
        self._deadline = monotonic() + PATIENCE

    def is_over(self, error: BaseException) -> bool:
        """Return whether it was answered, or has failed with ``error`` for good."""
        if self.outcome.ready():
            return True
        if isinstance(error, LOGIN):
            self.refuse(error)
        elif monotonic() >= self._deadline:
            unavailable = BrokerUnavailable(f"Redis does not answer: {error}")
            unavailable.__cause__ = error
            self.outcome.set_exception(unavailable)
        return self.outcome.ready()

    def refuse(self, error: BaseException) -> None:
        """Let it fail, since Redis will not do it."""
        refused = BrokerRefused(f"Redis refuses this: {error}")
        refused.__cause__ = error
        self.outcome.set_exception(refused)


class Commands:
    """The connection of one native thread."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._link: Any = None
        self._run_id = ""
        self._waiting: list[Request] = []
        self._is_serving = False

    def run(self, words: Callable[[str], Words], size: int = 0) -> Any:
        """Run a command, which may be carried out twice without harm, and return its answer.

        ``size`` is how many bytes it is, if that is many.

        Raises ``BrokerUnavailable`` when Redis has not answered for ``PATIENCE`` seconds, and then some for
        the last attempt; ``BrokerRefused`` if Redis refuses the login or the command.
        """
        request = Request(words, size)
        self._waiting.append(request)
        if not self._is_serving:
            self._is_serving = True
            try:
                gevent.sleep(0)  # whoever else is about to ask goes along
                self._serve()
            finally:
                self._is_serving = bool(self._waiting)
                if self._waiting:
                    gevent.spawn(self._serve_others)
        return request.outcome.get()

    def call(
        self, script: Script, keys: Sequence[str], arguments: Callable[[str], Words], size: int = 0
    ) -> Any:
        """Run a script; ``arguments`` are made when it is known which server gets them."""
        return self.run(lambda run: ("EVALSHA", script.sha, len(keys), *keys, *arguments(run)), size)

    def close(self) -> None:
        """Close the connection; the next command makes another."""
        link, self._link = self._link, None
        if link is not None:
            link.disconnect()

    def _serve_others(self) -> None:
        try:
            while self._waiting:
                self._serve()
        finally:
            self._is_serving = False

    def _serve(self) -> None:
        """Serve those who wait now, and while that needs more than one attempt, those who come."""
        batch: list[Request] = []
        backoff = Backoff()
        try:
            while True:
                self._fill(batch)
                try:
                    self._exchange(batch)
                    return
                except LOST as error:
                    self.close()
                    batch = [request for request in batch if not request.is_over(error)]
                    if not batch:
                        return
                gevent.sleep(backoff.delay())
        except BaseException as error:  # this greenlet is killed, or out of time
            self.close()
            for request in batch:
                if not request.outcome.ready():
                    request.outcome.set_exception(BrokerUnavailable(f"interrupted: {error!r}"))
            raise

    def _fill(self, batch: list[Request]) -> None:
        """Move those who wait into a batch, as many as it has room for."""
        size, count = sum(request.size for request in batch), 0
        room = MAX_BATCH - len(batch)
        for request in self._waiting[:room]:
            size += request.size
            if size > MAX_BATCH_SIZE and (batch or count):
                break
            count += 1
        batch += self._waiting[:count]
        del self._waiting[:count]

    def _exchange(self, batch: list[Request]) -> None:
        """Send a batch and take the answers."""
        self._connect()
        packed = self._link.pack_commands([request.words(self._run_id) for request in batch])
        self._link.send_packed_command(packed, check_health=False)
        for request in batch:
            try:
                request.outcome.set(self._link.read_response())
            except ELSEWHERE:
                raise
            except ResponseError as error:
                request.refuse(error)

    def _connect(self) -> None:
        if self._link is not None:
            return
        self._link = self._address.connection(SOCKET_TIMEOUT)
        self._link.connect()
        self._run_id = run_id(self._link)
        for script in ALL:
            self._link.send_command("SCRIPT", "LOAD", script.source)
            self._link.read_response()
