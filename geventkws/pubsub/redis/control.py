"""What nodes tell and ask each other, in JSON: commands about users, and how many have subscribed to what."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import gevent

from geventkws.pubsub.broker import Command, Node
from geventkws.pubsub.values import BrokerUnavailable

CENSUS_TIMEOUT = 2.0
"""Seconds for which the answers of all nodes are awaited."""

Run = Callable[..., Any]
"""Runs a command of Redis with these words."""


class Control:
    """Speaks and listens on the channel of all nodes."""

    def __init__(self, run: Run, node: Node, prefix: str) -> None:
        self.name = f"{prefix}:control"
        """The channel."""
        self._id = uuid.uuid4().hex
        self._run = run
        self._node = node

    def command(self, command: Command) -> None:
        """Tell all nodes. This one may hear it twice, which does no harm."""
        self._node.commanded(command)
        self._node.flush()
        self._run("PUBLISH", self.name, json.dumps({"do": command}))

    def received(self, data: bytes) -> None:
        """Do what another node says, or answer its question. Never waits."""
        said = json.loads(data)
        if "do" in said:
            self._node.commanded(Command(*said["do"]))
            self._node.flush()
        else:
            gevent.spawn(self._answer, said["count for"])

    def _answer(self, answers: str) -> None:
        with suppress(BrokerUnavailable):
            self._run("HSET", answers, self._id, json.dumps(self._node.census()))
            self._run("EXPIRE", answers, 10)

    def census(self) -> dict[str, int]:
        """Ask all nodes; count what those say that answer in time."""
        answers = f"{self.name}:{uuid.uuid4().hex}"
        count = self._run("PUBLISH", self.name, json.dumps({"count for": answers}))
        end = monotonic() + CENSUS_TIMEOUT
        while self._run("HLEN", answers) < count and monotonic() < end:
            gevent.sleep(0.005)
        total: dict[str, int] = {}
        for answer in self._run("HVALS", answers):
            for channel, number in json.loads(answer).items():
                total[channel] = total.get(channel, 0) + number
        return total
