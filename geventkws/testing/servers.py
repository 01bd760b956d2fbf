"""The servers that a test starts: on free ports, with clients, closed and checked at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Unpack

import gevent
from gevent import socket as gevent_socket

from geventkws.http.context import Application
from geventkws.registry import ServiceRegistry
from geventkws.server.server import WebSocketServer
from geventkws.server.start_up import ServerKeywords
from geventkws.service import WebSocketService
from geventkws.testing.client import PATIENCE, Client
from geventkws.testing.leaks import GreenletWatch

GRACE = 1.0
"""Seconds that callbacks and greenlets have to end after the clients have gone."""


class RunningServer:
    """A server under test, listening on a free port of 127.0.0.1."""

    def __init__(self, server: WebSocketServer) -> None:
        self.server = server
        """The ``WebSocketServer`` itself."""
        self.port: int = server.server_port or 0
        """The port that it listens on."""
        self._clients: list[Client] = []

    def url(self, path: str = "/", scheme: str = "ws") -> str:
        """Return the URL of a path: for WebSockets, or for HTTP with ``scheme="http"``."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def connect(
        self,
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        origin: str | None = None,
        subprotocols: Iterable[str] = (),
        timeout: float = PATIENCE,
    ) -> Client:
        """Return a client, which is closed after the test. The arguments are those of ``testing.connect``."""
        sock = gevent_socket.create_connection(("127.0.0.1", self.port), timeout)
        try:
            client = Client(
                sock,
                self.url(path),
                headers=headers,
                origin=origin,
                subprotocols=subprotocols,
                timeout=timeout,
            )
        except BaseException:
            sock.close()
            raise
        self._clients.append(client)
        return client

    def close(self) -> list[str]:
        """Close the clients, then the server; return a description of each connection that has not ended."""
        for client in self._clients:
            client.shutdown()
        end = monotonic() + GRACE
        while (self.server.websockets or self.server.http_connections) and monotonic() < end:
            gevent.sleep(0.001)
        stuck = [f"a connection has not ended: {each!r}" for each in self.server.websockets]
        if self.server.http_connections:
            stuck.append(f"{self.server.http_connections} HTTP connections have not ended")
        self.server.stop(timeout=0 if stuck else GRACE)
        return stuck


class ServerFactory:
    """Starts the servers of a test: the value of the fixture ``websocket_server``."""

    def __init__(self) -> None:
        self._watch = GreenletWatch()
        self._watch.__enter__()
        self._running: list[RunningServer] = []

    def __call__(
        self,
        service: WebSocketService | None = None,
        path: str = "/",
        *,
        application: Application | None = None,
        services: ServiceRegistry | None = None,
        **options: Unpack[ServerKeywords],
    ) -> RunningServer:
        """Start a server on a free port, with a registry of its own unless ``services`` is given.

        ``service`` is registered on ``path``. ``application`` and ``options`` are those of
        ``WebSocketServer``.
        """
        registry = ServiceRegistry() if services is None else services
        if service is not None:
            registry.register(service, path)
        server = WebSocketServer(("127.0.0.1", 0), application, registry, **options)
        server.start()
        self._running.append(RunningServer(server))
        return self._running[-1]

    def close(self) -> list[str]:
        """Close all servers; return a description of each connection and greenlet that has not ended."""
        leaks = [leak for running in self._running for leak in running.close()]
        self._watch.__exit__(None, None, None)
        return leaks + self._watch.end_all(0 if leaks else GRACE)
