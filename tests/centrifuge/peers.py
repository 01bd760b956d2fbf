"""A client of the protocol, which speaks JSON line by line."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from geventkws.centrifuge import CentrifugeService, Client, Connected
from geventkws.request import Request
from geventkws.testing import ServiceClient, connect
from geventkws.websocket.closed import ConnectionClosed

PATH = "/connection/websocket"


class Open(CentrifugeService):
    """A service whose clients say themselves who they are: with ``user`` and ``channels`` in their data."""

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        said = data or {}
        return Connected(said.get("user", "ann"), said.get("info"), {"hello": 1}, said.get("channels", ()))


class Peer:
    """A client."""

    def __init__(self, service: CentrifugeService, path: str = PATH, **options: Any) -> None:
        self.socket: ServiceClient = connect(service, path, **options)
        self._replies: deque[dict[str, Any]] = deque()
        self._number = 0

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *commands: dict[str, Any]) -> None:
        """Send commands in one frame."""
        self.socket.send("\n".join(map(json.dumps, commands)))

    def receive(self) -> dict[str, Any]:
        """Return the next reply or push."""
        if not self._replies:
            frame = self.socket.receive()
            assert isinstance(frame, str)
            self._replies.extend(map(json.loads, frame.split("\n")))
        return self._replies.popleft()

    def push(self) -> dict[str, Any]:
        """Return the next push."""
        reply = self.receive()
        assert "push" in reply, reply
        push: dict[str, Any] = reply["push"]
        return push

    def ask(self, name: str, **request: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        reply = self.reply(name, **request)
        assert name in reply, reply
        result: dict[str, Any] = reply[name]
        return result

    def fail(self, name: str, **request: Any) -> int:
        """Send a command, and return the code of its error."""
        reply = self.reply(name, **request)
        assert "error" in reply, reply
        code: int = reply["error"]["code"]
        return code

    def reply(self, name: str, **request: Any) -> dict[str, Any]:
        """Send a command, and return the reply."""
        self._number += 1
        self.send({"id": self._number, name: request})
        reply = self.receive()
        assert reply.get("id") == self._number, reply
        return reply

    def end(self) -> tuple[int, str]:
        """Return how the server has closed the connection."""
        try:
            while True:
                self.receive()
        except ConnectionClosed as closed:
            return int(closed.reason), closed.description


def connected(service: CentrifugeService, **data: Any) -> Peer:
    """Return a client that has connected."""
    peer = Peer(service)
    peer.ask("connect", data=data)
    return peer
