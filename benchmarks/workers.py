"""Several servers of a peer, which share their channels over one Redis."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from benchmarks.catalogue import Peer
from benchmarks.redis_server import RedisServer
from benchmarks.server import Server


class Workers:
    """So many servers, each a process on a port of its own; they end with the ``with`` block."""

    def __init__(
        self, peer: Peer, python: Path, cores: Iterable[int], redis: RedisServer, count: int
    ) -> None:
        self.peer = peer
        self.redis = redis
        self.servers: list[Server] = []
        self._python = python
        self._cores = list(cores)
        self._count = count
        self._stack = ExitStack()

    def __enter__(self) -> Workers:
        with ExitStack() as stack:
            for _ in range(self._count):
                flags = (f"--redis={self.redis.url}",)
                server = Server(self.peer, self._python, self._cores, flags=flags, module=self.peer.channels)
                stack.callback(server.stop)
                self.servers.append(server)
            for server in self.servers:  # all are starting by now
                server.wait_until_it_answers()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def ports(self) -> str:
        """The ports, as the load generator takes them."""
        return ",".join(server.ports for server in self.servers)

    def processes(self) -> list[int]:
        """Return the process ids of all servers."""
        return [pid for server in self.servers for pid in server.processes()]

    def cpu_seconds(self) -> float:
        """Return the CPU time that all of them have used."""
        return sum(server.cpu_seconds() for server in self.servers)

    def memory_kib(self) -> int:
        """Return the proportional set size of all of them, in KiB."""
        return sum(server.memory_kib() for server in self.servers)

    def output(self) -> str:
        """Return the last lines that the first of them printed which printed any."""
        return next(filter(None, (server.output() for server in self.servers)), "")
