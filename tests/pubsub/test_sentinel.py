"""The master is where Sentinel says."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from geventkws import ConnectionClosed
from geventkws.pubsub import PubSub
from geventkws.pubsub.redis.link import CONNECT_TIMEOUT, address_of
from tests.helpers import free_port, require_program
from tests.pubsub.conftest import Connect, RedisServer, configured
from tests.waiting import PATIENCE, wait_until


class Site:
    """A master, its replica, and a sentinel that watches them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        ports = [free_port() for _ in range(3)]
        self.master, self.replica = (
            RedisServer(self._folder(folder, name), "--port", str(port), *options)
            for name, port, options in (
                ("master", ports[0], ("--repl-diskless-sync-delay", "0")),
                ("replica", ports[1], ("--replicaof", f"127.0.0.1 {ports[0]}")),
            )
        )
        for server in (self.master, self.replica):
            stack.callback(server.kill)
            server.start()
        self._port = ports[2]
        self.url = f"redis+sentinel://127.0.0.1:{self._port}/site/0"
        # A sentinel asks the master for its replicas at once, and then only every 10 s.
        wait_until(lambda: b"state=online" in self.master.ask("INFO", "replication"))
        stack.enter_context(self._sentinel(folder, ports[0]))
        wait_until(lambda: self.ask("SENTINEL", "REPLICAS", "site"))

    def _folder(self, folder: Path, name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    @contextmanager
    def _sentinel(self, folder: Path, master: int) -> Iterator[None]:
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nsentinel monitor site 127.0.0.1 {master} 1\n"
            "sentinel down-after-milliseconds site 500\nsentinel failover-timeout site 3000\n"
        )
        command = [require_program("redis-sentinel"), str(config)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.kill()

    def ask(self, *words: str) -> object:
        """Run a command in the sentinel; return ``None`` if it does not answer."""
        try:
            with Redis(port=self._port, protocol=2, retry=Retry(NoBackoff(), 0)) as client:
                return client.execute_command(*words)
        except RedisError:
            return None


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield Site(Path(folder), stack)


def test_a_failover_to_a_replica_that_lags_behind_is_told_as_a_loss(site: Site, client: Connect) -> None:
    with closing(configured(PubSub(site.url))) as pubsub:
        ann = client()
        pubsub.subscribe(ann.connection, "kept:news")
        since = pubsub.publish("kept:news", "kept")
        assert since is not None
        wait_until(lambda: b"kept" in repr(site.replica.ask("XRANGE", *STREAM)).encode())
        site.replica.kill(signal.SIGSTOP)
        site.master.ask("CLIENT", "KILL", "TYPE", "replica")
        pubsub.publish("kept:news", "lost")
        assert [ann.receive() for _ in range(2)] == ["kept", "lost"]
        site.master.kill()
        site.replica.kill(signal.SIGCONT)
        with pytest.raises(ConnectionClosed, match="1013"):
            ann.receive(timeout=3 * PATIENCE)
        after = pubsub.publish("kept:news", "in its place")
        assert after is not None
        assert after.offset == since.offset + 1
        assert after.epoch != since.epoch
        ben = client()
        assert not pubsub.subscribe(ben.connection, "kept:news", since=since).recovered


def test_an_address_is_a_str() -> None:
    with pytest.raises(TypeError, match="address of Redis is a str"):
        PubSub(6379)  # type: ignore[arg-type]


def test_time_limits_are_ours_whatever_the_address_says() -> None:
    connection = address_of("redis://localhost?socket_timeout=0.01&socket_connect_timeout=0.01").connection(9)
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (9, CONNECT_TIMEOUT)


STREAM = ("geventkws:stream:kept:news", "-", "+")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis+sentinel://localhost:26379", "name of the service is missing"),
        ("redis+sentinel://localhost/site", "host:port, not 'localhost'"),
        ("http://localhost", "must specify one of the following schemes"),
        ("localhost:6379", "must specify one of the following schemes"),
        ("redis://localhost:many", "Port could not be cast"),
        ("redis://localhost/first", "database of Redis is a number, not 'first'"),
        ("redis://localhost?colour=red", "redis-py does not know an option .* 'colour'"),
        ("redis+sentinel://localhost:26379/site/first", "database of Redis is a number"),
    ],
)
def test_a_wrong_url_is_told_at_once(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PubSub(url)


def test_the_login_of_a_url_is_for_redis(site: Site) -> None:
    url = site.url.replace("127.0.0.1", "ann:secret@127.0.0.1")
    connection = address_of(url).connection(1.0)
    assert (connection.username, connection.password) == ("ann", "secret")
