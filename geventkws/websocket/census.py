"""Counts the open connections, in one go: there may be many, and everybody waits meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from geventkws.backend import use_compiled
from geventkws.loop.channel import Channel
from geventkws.websocket.conversation import Conversation


def count_open(channels: Iterable[Channel]) -> int:
    """Add each WebSocket connection to the ``open`` totals of its tally; return how many there are."""
    count = 0
    for channel in channels:
        if isinstance(channel.owner, Conversation):
            owner = channel.owner
            if owner._tally is not None:
                owner._tally.open.add(owner._endpoint)
                count += 1
    return count


use_compiled(__name__, globals())
