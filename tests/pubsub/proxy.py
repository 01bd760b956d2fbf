"""A proxy between a process and Redis, which may fall silent or cut the connections."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.server import StreamServer


class Proxy:
    """Passes bytes on, in both directions, until it is told not to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sockets: set[Any] = set()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"redis://127.0.0.1:{self._server.server_port}"
        self.is_silent = False
        """Whether everything is swallowed, as by a network that has gone."""
        self.cut_after = b""
        """After a request with these bytes has been passed on, and before its answer, connections are cut."""

    def _serve(self, client: Any, address: object) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._path)
        self._sockets |= {client, server}
        answers = gevent.spawn(self._pass_on, server, client)
        self._pass_on(client, server)
        answers.join()
        self._sockets -= {client, server}
        server.close()

    def _pass_on(self, source: Any, target: Any) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.is_silent:
                    continue
                if self.cut_after and self.cut_after in data:
                    self.cut_after = b""
                    source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    break
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End everything."""
        self._server.stop()
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
