"""A broker for one process: everything is in its memory."""

from __future__ import annotations

import uuid
from collections import OrderedDict, deque
from itertools import islice
from time import monotonic
from typing import Any

from geventkws.loop.loop import allocate_lock
from geventkws.pubsub.broker import Command, Excluded, Node, Stream
from geventkws.pubsub.settings import Settings
from geventkws.pubsub.values import Message, NodeInfo, Position, PresenceEvent, Publication

KEY_TTL = 300.0
"""Seconds for which the key of a publication is remembered."""

FORGET_AFTER = 10
"""A history is forgotten, and its epoch with it, this many times its TTL after its last publication."""

SWEEP = 2
"""How many histories each call looks at, to forget what is too old: more than it can add."""


class History:
    """The last publications of a channel."""

    def __init__(self) -> None:
        self.epoch = uuid.uuid4().hex[:8]
        self.offset = 0
        self.ttl = 0.0
        self.published_at = monotonic()
        self._publications: deque[tuple[float, Publication]] = deque()

    @property
    def top(self) -> Position:
        """The position of the last publication; offset 0 if there was none."""
        return Position(self.offset, self.epoch)

    def add(self, channel: str, message: Message, settings: Settings) -> Publication:
        self.offset += 1
        self.ttl = settings.history_ttl
        self.published_at = monotonic()
        publication = Publication(message, channel, self.top)
        self._publications.append((self.published_at, publication))
        self.trim(settings)
        return publication

    def trim(self, settings: Settings) -> None:
        """Forget publications that are too many or too old."""
        publications, oldest = self._publications, monotonic() - settings.history_ttl
        while publications and (len(publications) > settings.history_size or publications[0][0] < oldest):
            publications.popleft()

    def clear(self) -> None:
        """Forget all publications, but not how many there were."""
        self._publications.clear()

    def after(self, since: Position | None, limit: int | None) -> Stream:
        """Return what ``Broker.history`` does."""
        kept = len(self._publications)
        wanted = kept if since is None else self.offset - since.offset
        if since is not None and (since.epoch != self.epoch or not 0 <= wanted <= kept):
            return Stream(self.top, [], False)
        start = kept - wanted
        if since is None and limit is not None:
            start = max(start, kept - limit)
        stop = None if limit is None else start + limit
        found = [publication for _, publication in islice(self._publications, start, stop)]
        return Stream(self.top, found, True)


class MemoryBroker:
    """A ``Broker`` for the channels of one process."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._id = uuid.uuid4().hex
        # Held while a publication gets its offset and its place among what is delivered, but not longer.
        self._lock = allocate_lock()
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._keys: OrderedDict[tuple[str, str], tuple[float, Position | None]] = OrderedDict()
        self._present: dict[str, dict[str, Any]] = {}

    @property
    def is_deaf(self) -> bool:
        return False

    def start(self) -> None:
        """Do nothing: there are no others."""

    def stop(self) -> None:
        """Do nothing, for the same reason."""

    def begin_after_fork(self) -> None:
        self._lock = allocate_lock()
        self._present = {}

    def open(self, channel: str) -> None:
        """Do nothing: the node is told of all channels."""

    def close(self, channel: str) -> None:
        """Do nothing: the node tells apart what it wants."""

    def check(self, channel: str) -> None:
        """Do nothing: nothing is lost on the way."""

    def publish(
        self, channel: str, message: Message, exclude: Excluded, key: str | None, settings: Settings
    ) -> Position | None:
        with self._lock:
            self._sweep()
            if key is not None and (channel, key) in self._keys:
                return self._keys[channel, key][1]
            if settings.history_size:
                publication = self._history(channel).add(channel, message, settings)
            else:
                publication = Publication(message, channel, None)
            if key is not None:
                self._keys[channel, key] = (monotonic(), publication.position)
            self._node.published(publication, exclude)
        self._node.flush()
        return publication.position

    def _history(self, channel: str) -> History:
        history = self._histories.get(channel)
        if history is None:
            history = self._histories[channel] = History()
        return history

    def _sweep(self) -> None:
        """Forget some of what is too old."""
        now = monotonic()
        for channel in list(islice(self._histories, SWEEP)):
            history = self._histories[channel]
            if now - history.published_at > history.ttl * FORGET_AFTER:
                del self._histories[channel]
            else:
                self._histories.move_to_end(channel)
        for key, (published_at, _) in list(islice(self._keys.items(), SWEEP)):
            if now - published_at > KEY_TTL:
                del self._keys[key]

    def history(self, channel: str, since: Position | None, limit: int | None, settings: Settings) -> Stream:
        with self._lock:
            self._sweep()  # a channel that is only looked at has a history as well
            history = self._history(channel)
            history.ttl = settings.history_ttl
            history.trim(settings)
            return history.after(since, limit)

    def remove_history(self, channel: str) -> None:
        with self._lock:
            if channel in self._histories:
                self._histories[channel].clear()

    def join(self, channel: str, member: str, info: Any) -> None:
        with self._lock:
            members = self._present.setdefault(channel, {})
            is_new = member not in members
            members[member] = info
            if is_new:
                self._node.presence_changed(PresenceEvent(channel, member, info, True))
        self._node.flush()

    def leave(self, channel: str, member: str) -> None:
        with self._lock:
            members = self._present[channel]
            info = members.pop(member)
            if not members:
                del self._present[channel]
            self._node.presence_changed(PresenceEvent(channel, member, info, False))
        self._node.flush()

    def presence(self, channel: str) -> dict[str, Any]:
        with self._lock:
            return dict(self._present.get(channel, {}))

    def command(self, command: Command) -> None:
        self._node.commanded(command)
        self._node.flush()

    def census(self, pattern: str) -> dict[str, int]:
        return self._node.census(pattern)

    def nodes(self) -> list[NodeInfo]:
        return [self._node.describe(self._id)]
