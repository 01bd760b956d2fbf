"""Which libraries cooperate with gevent while they wait, as the page about blocking libraries says."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import gevent
import psycopg
import pymysql
import pytest
import redis
import requests
from gevent import get_hub, socket
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.waiting import PATIENCE

TIMEOUT = 2
"""Seconds after which a library gives up if nobody answers; psycopg accepts no less."""

CLIENTS: dict[str, Callable[[int], object]] = {
    "psycopg": lambda port: psycopg.connect(
        host="127.0.0.1", port=port, user="x", dbname="x", sslmode="disable", connect_timeout=TIMEOUT
    ),
    "PyMySQL": lambda port: pymysql.connect(host="127.0.0.1", port=port, connect_timeout=TIMEOUT),
    "redis": lambda port: redis.Redis(port=port, socket_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)).ping(),
    "requests": lambda port: requests.get(f"http://127.0.0.1:{port}/", timeout=TIMEOUT),
}
"""Libraries that cooperate: how each talks to a server on a port."""


@pytest.fixture
def happened() -> list[str]:
    """What happened, in order."""
    return []


@pytest.fixture
def port(happened: list[str]) -> Iterator[int]:
    """The port of a server that closes its first connection, and runs in the same thread as its client."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            happened.append("others were served")
            connection.close()

        server = gevent.spawn(serve)
        yield listener.getsockname()[1]
        server.kill()


@pytest.mark.parametrize("library", CLIENTS)
def test_a_library_that_cooperates(library: str, port: int, happened: list[str]) -> None:
    with suppress(psycopg.Error, pymysql.Error, redis.RedisError, requests.RequestException):
        CLIENTS[library](port)
    happened.append("the wait was over")
    assert happened == ["others were served", "the wait was over"]


def test_psycopg_is_tried_in_its_compiled_form() -> None:
    assert psycopg.pq.__impl__ != "python"


def test_subprocess_cooperates(happened: list[str]) -> None:
    gevent.spawn(happened.append, "others were served")
    subprocess.run(["true"], check=True, timeout=PATIENCE)
    assert happened == ["others were served"]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """An SQLite database that nobody can write to."""
    path = tmp_path / "locked.db"
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        yield path


def insert(path: Path) -> None:
    """Wait briefly for a lock that is not released."""
    with closing(sqlite3.connect(path, timeout=0.1)) as database, suppress(sqlite3.OperationalError):
        database.execute("INSERT INTO t VALUES (1)")


def test_sqlite_does_not_cooperate(locked: Path, happened: list[str]) -> None:
    gevent.spawn(happened.append, "others were served")
    insert(locked)
    assert happened == []


def test_sqlite_in_a_thread_does(locked: Path, happened: list[str]) -> None:
    gevent.spawn(happened.append, "others were served")
    get_hub().threadpool.apply(insert, (locked,))
    assert happened == ["others were served"]
