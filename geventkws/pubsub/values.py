"""What is published, and what those who publish or subscribe are told."""

from __future__ import annotations

from typing import Any, NamedTuple

Message = str | bytes


class Position(NamedTuple):
    """A place in the history of a channel.

    ``offset`` counts the channel's publications, from 1. ``epoch`` names the history that the offset belongs
    to: after a history has been lost, a new one begins under another name, so that no offset of the old one
    is taken for one of the new.
    """

    offset: int
    epoch: str


class Publication(NamedTuple):
    """A message that was published on ``channel``; ``position`` is ``None`` in a channel without history."""

    message: Message
    channel: str
    position: Position | None


OVERHEAD = 64
"""Bytes of memory that it takes to hold a publication back, beside its message."""


def size_of(publication: Publication) -> int:
    """Return what a publication counts for while it is held back: an empty message takes memory, too."""
    return len(publication.message) + OVERHEAD


class Subscription(NamedTuple):
    """How a subscription began.

    ``recovered`` says whether the connection has been sent everything that was published after ``since``.
    ``position`` is that of the last publication so far; ``None`` in a channel without history.
    """

    recovered: bool
    position: Position | None


class PresenceEvent(NamedTuple):
    """Somebody has joined a channel (``joined``) or left it.

    ``id`` is that of the connection, and ``info`` what it subscribed with.
    """

    channel: str
    id: str
    info: Any
    joined: bool


class NodeInfo(NamedTuple):
    """A process that has subscribed or listens to channels, as it said a few seconds ago.

    ``id`` is one that no other node has. ``connections`` is how many have subscribed or been identified
    there, and ``uptime`` for how many seconds it has been there.
    """

    id: str
    name: str
    host: str
    pid: int
    connections: int
    uptime: float


class PositionLost(LookupError):
    """The history no longer has everything that was published after a position."""


class BrokerUnavailable(ConnectionError):
    """Redis cannot be reached, or does not answer: it is not known whether what was asked for was done."""


class BrokerRefused(BrokerUnavailable):
    """Redis refuses the login or what was asked for, and has not done it: the message says why."""
