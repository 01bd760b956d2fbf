"""What channels need from whatever takes messages from those who publish to those who have subscribed.

A broker knows nothing of connections. It tells the ``Node``, which does, what has happened on the channels
that the node has opened.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from geventkws.pubsub.settings import Settings
from geventkws.pubsub.values import Message, NodeInfo, Position, PresenceEvent, Publication

Excluded = frozenset[str]
"""The ids of connections that a publication is not sent to."""


class Stream(NamedTuple):
    """A part of a channel's history.

    ``top`` is the position of the last publication in the whole history. ``complete`` is false if some of
    what was asked for is no longer there; then there are no ``publications``.
    """

    top: Position
    publications: list[Publication]
    complete: bool


class Command(NamedTuple):
    """What every node is to do with the connections of a user."""

    user: str
    name: str
    """What is to be done."""
    details: Any = None
    """What else must be known for that: anything that JSON can express."""


class Node(Protocol):
    """What a broker tells. Called in any thread; never waits."""

    def published(self, publication: Publication, exclude: Excluded) -> None:
        """Take a publication: those of a channel in order, each once."""

    def presence_changed(self, event: PresenceEvent) -> None:
        """Learn that somebody has joined or left a channel."""

    def commanded(self, command: Command) -> None:
        """Take a command, which may concern users of other nodes."""

    def lost(self, channel: str) -> None:
        """Tell the subscribers of a channel that publications have been lost."""

    def wants(self, channel: str) -> bool:
        """Return whether anybody on this node has subscribed to a channel."""

    def flush(self) -> None:
        """Deliver what has been taken: called without any lock."""

    def census(self, pattern: str) -> dict[str, int]:
        """Return the channels that match a pattern and have subscribers on this node, and how many each."""

    def describe(self, node_id: str) -> NodeInfo:
        """Return what others are told of this node."""


class Broker(Protocol):
    """Takes messages from publishers to subscribers, and keeps histories and presence."""

    @property
    def is_deaf(self) -> bool:
        """Whether what others publish does not arrive now, although somebody waits for it."""

    def start(self) -> None:
        """Begin to listen to other nodes. Never waits."""

    def stop(self) -> None:
        """End all connections to other nodes."""

    def begin_after_fork(self) -> None:
        """Leave everything to the parent process: its connections to other nodes, and who is on a channel."""

    def open(self, channel: str) -> None:
        """Let the node be told of the channel; return when nothing of what follows is missed."""

    def close(self, channel: str) -> None:
        """Tell the node nothing more about the channel. Never waits."""

    def check(self, channel: str) -> None:
        """Find out whether the node knows all publications of a channel, and make up for it. Never waits."""

    def publish(
        self, channel: str, message: Message, exclude: Excluded, key: str | None, settings: Settings
    ) -> Position | None:
        """Publish a message, unless the same ``key`` was used before; return its position, if it has one."""

    def history(self, channel: str, since: Position | None, limit: int | None, settings: Settings) -> Stream:
        """Return the first ``limit`` publications after ``since``; without ``since``, the last ``limit``."""

    def remove_history(self, channel: str) -> None:
        """Forget what was published, but not up to which offset."""

    def join(self, channel: str, member: str, info: Any) -> None:
        """Remember who is on a channel, and tell the nodes."""

    def leave(self, channel: str, member: str) -> None:
        """Forget who was on a channel, and tell the nodes. Never waits."""

    def presence(self, channel: str) -> dict[str, Any]:
        """Return who is on a channel, with their infos."""

    def command(self, command: Command) -> None:
        """Tell all nodes, each once."""

    def census(self, pattern: str) -> dict[str, int]:
        """Return the sum of what the nodes answer."""

    def nodes(self) -> list[NodeInfo]:
        """Return the nodes that have listened lately."""
