"""A connection to Redis: how it is made, and what is asked of the server first."""

from __future__ import annotations

import random
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to be made."""

LOST = (RedisError, OSError)
"""What is raised when a connection is lost, or what was said on it makes no sense."""

FIRST_DELAY = 0.05
LONGEST_DELAY = 3.0


class Address:
    """Where Redis is, and how to make connections to it."""

    def __init__(self, url: str) -> None:
        """``url`` is one of redis-py: ``redis://``, ``rediss://`` or ``unix://``."""
        self._pool: Any = ConnectionPool.from_url(url)

    def connection(self, socket_timeout: float) -> Any:
        """Return a connection of redis-py that has yet to be made; we repeat things ourselves."""
        options = {
            **self._pool.connection_kwargs,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_keepalive": True,
            "socket_timeout": socket_timeout,
        }
        if "path" in options:
            del options["socket_keepalive"]
        return self._pool.connection_class(**options)


class Backoff:
    """How long to wait before the next attempt: longer each time, and never the same for all processes."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def reset(self) -> None:
        """Begin again, after a success."""
        self._delay = FIRST_DELAY

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has failed since the last success."""
        return self._delay == FIRST_DELAY

    def delay(self) -> float:
        """Return the seconds to wait now."""
        delay, self._delay = self._delay, min(2 * self._delay, LONGEST_DELAY)
        return delay * random.uniform(0.5, 1.0)


def run_id(connection: Any) -> str:
    """Ask a server which of its runs this is."""
    connection.send_command("INFO", "server")
    info: bytes = connection.read_response()
    for line in info.splitlines():
        if line.startswith(b"run_id:"):
            return line.partition(b":")[2].decode()
    raise RedisError("the server does not say its run_id")
