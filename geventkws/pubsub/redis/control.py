"""What nodes tell and ask each other, in JSON: commands about users, and how many have subscribed to what.

Commands are the publications of a channel that has a history and no name, so each node gets each once, in
order, even if it was cut off from Redis for a while. Nothing is ever passed on, and a node takes nothing that
comes from itself.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import gevent

from geventkws.pubsub.broker import Command, Excluded, Node
from geventkws.pubsub.redis.envelope import NOBODY, body_of
from geventkws.pubsub.redis.link import LOST
from geventkws.pubsub.settings import Settings
from geventkws.pubsub.values import Publication

logger = logging.getLogger("geventkws.pubsub")

CHANNEL = ""
"""The channel of all nodes: nobody else can use it, since names must not be empty."""

SETTINGS = Settings(history_size=10_000, history_ttl=60.0)
"""How many commands are kept for nodes that are cut off, and for how long."""

CENSUS_TIMEOUT = 2.0
"""Seconds for which the answers of all nodes are awaited."""

Run = Callable[..., Any]
"""Runs a command of Redis with these words."""

Publish = Callable[[str, str, Excluded, None, Settings], object]
"""Publishes a message on a channel, as a ``Broker`` does."""


class Control:
    """Speaks on the channel of all nodes, and takes what comes there from its feed."""

    def __init__(self, node_id: str, run: Run, publish: Publish, node: Node, prefix: str) -> None:
        self._id = node_id
        self._run = run
        self._publish = publish
        self._node = node
        self._prefix = prefix

    def command(self, command: Command) -> None:
        """Tell all nodes."""
        self._node.commanded(command)
        self._node.flush()
        self._publish(CHANNEL, json.dumps({"from": self._id, "do": command}), NOBODY, None, SETTINGS)

    def published(self, publication: Publication, exclude: Excluded) -> None:
        """Do what another node says, or answer its question. Never waits."""
        said = json.loads(publication.message)
        if "do" not in said:
            gevent.spawn(self._answer, said["count for"], said["pattern"])
        elif said["from"] != self._id:
            self._node.commanded(Command(*said["do"]))

    def lost(self, channel: str) -> None:
        """Say in the log that commands have been lost."""
        logger.warning("commands about users have been lost while Redis was away")

    def flush(self) -> None:
        """Let the commands be carried out."""
        self._node.flush()

    def _answer(self, answers: str, pattern: str) -> None:
        with suppress(*LOST):
            self._run("HSET", answers, self._id, json.dumps(self._node.census(pattern)))
            self._run("EXPIRE", answers, 10)

    def census(self, pattern: str) -> dict[str, int]:
        """Ask all nodes; count what those say that answer in time."""
        answers = f"{self._prefix}:answers:{uuid.uuid4().hex}"
        question = body_of(json.dumps({"count for": answers, "pattern": pattern}), NOBODY)
        count = self._run("PUBLISH", f"{self._prefix}:bus:{CHANNEL}", b"p 0 - " + question)
        end = monotonic() + CENSUS_TIMEOUT
        while self._run("HLEN", answers) < count and monotonic() < end:
            gevent.sleep(0.005)
        total: dict[str, int] = {}
        for answer in self._run("HVALS", answers):
            for channel, number in json.loads(answer).items():
                total[channel] = total.get(channel, 0) + number
        return total
