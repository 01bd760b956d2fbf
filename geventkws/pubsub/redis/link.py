"""A connection to Redis: how it is made, and what is asked of the server first."""

from __future__ import annotations

import random
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to be made."""

LOST = (RedisError, OSError)
"""What is raised when a connection is lost, or what was said on it makes no sense."""

FIRST_DELAY = 0.05
LONGEST_DELAY = 3.0


SENTINEL = "redis+sentinel://"

_Sentinel: Any = Sentinel  # it has no types


class Address(Protocol):
    """Where Redis is."""

    def connection(self, socket_timeout: float) -> Any:
        """Return a connection of redis-py that has yet to be made. May ask where Redis is now."""


class ServerAddress:
    """The address of one server."""

    def __init__(self, url: str) -> None:
        """``url`` is one of redis-py: ``redis://``, ``rediss://`` or ``unix://``."""
        self._pool: Any = ConnectionPool.from_url(url)
        _check_database(url)
        try:
            self.connection(CONNECT_TIMEOUT)
        except TypeError as error:
            raise ValueError(f"redis-py does not know an option in the address of Redis: {error}") from None

    def connection(self, socket_timeout: float, **place: str | int) -> Any:
        """Return a connection, to another ``host`` and ``port`` perhaps; we repeat things ourselves."""
        options = {
            **self._pool.connection_kwargs,
            **place,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_keepalive": True,
            "socket_timeout": socket_timeout,
        }
        if "path" in options:
            del options["socket_keepalive"]
        return self._pool.connection_class(**options)


class SentinelAddress:
    """The address of whichever server Sentinel calls the master."""

    def __init__(self, url: str) -> None:
        """``url`` is ``redis+sentinel://[user:password@]host:port[,host:port...]/service[/database]``.

        The user and the password are those of Redis.
        """
        place, _, path = url.removeprefix(SENTINEL).partition("/")
        login, at, hosts = place.rpartition("@")
        self._service, _, database = path.partition("/")
        self._sentinels = [_host_and_port(host) for host in hosts.split(",")]
        if not self._service:
            raise ValueError(f"the name of the service is missing: {SENTINEL}{hosts}/NAME")
        self._server = ServerAddress(f"redis://{login}{at}localhost/{database}")

    def connection(self, socket_timeout: float) -> Any:
        """Ask the sentinels, and return a connection to the master."""
        sentinel: Any = _Sentinel(
            self._sentinels, socket_timeout=CONNECT_TIMEOUT, protocol=2, retry=Retry(NoBackoff(), 0)
        )
        try:
            host, port = sentinel.discover_master(self._service)
        finally:
            for client in sentinel.sentinels:
                client.close()
        return self._server.connection(socket_timeout, host=host, port=port)


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"a sentinel is given as host:port, not {place!r}")
    return host, int(port)


def _check_database(url: str) -> None:
    """Raise ``ValueError`` for what redis-py would take for the database 0."""
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdecimal():
        raise ValueError(f"the database of Redis is a number, not {database!r}")


def address_of(url: str) -> Address:
    """Return the address that a URL means; raise ``TypeError`` or ``ValueError`` if it means none."""
    if not isinstance(url, str):
        raise TypeError(f"the address of Redis is a str such as 'redis://127.0.0.1:6379/0', not {url!r}")
    return SentinelAddress(url) if url.startswith(SENTINEL) else ServerAddress(url)


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
