"""A channel of which this process takes the messages, and whether it has got all of them.

A connection to Redis may be lost and made again, and nobody says what was published meanwhile. So the feed
compares offsets, and asks for the history when one does not follow the one before, and after every
reconnection. Meanwhile it holds back what comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from gevent.event import Event

from geventkws.pubsub.broker import Excluded, Stream
from geventkws.pubsub.redis.envelope import NOBODY
from geventkws.pubsub.values import Position, Publication

MAX_HELD = 10_000
"""The most publications that are held back."""

ACKNOWLEDGED = Event()
"""For all feeds that Redis has acknowledged, which need none of their own any more. Nobody waits for it."""
ACKNOWLEDGED.set()


class Taker(Protocol):
    """What a feed tells: a part of ``Node``."""

    def published(self, publication: Publication, exclude: Excluded) -> None:
        """Take a publication: all of a channel in order, each once."""

    def lost(self, channel: str) -> None:
        """Take note that publications of a channel have been lost."""

    def flush(self) -> None:
        """Deliver what has been taken."""


class Checker(Protocol):
    """Lets feeds be checked."""

    def __call__(self, feed: Feed) -> None:
        """Let ``feed.check`` be called in another greenlet."""


class Feed:
    """The messages of one channel on their way to the node. In the reader's thread."""

    __slots__ = ("_check_again", "_checker", "_held", "_node", "acknowledged", "channel", "position")

    def __init__(self, channel: str, node: Taker, checker: Checker) -> None:
        self.channel = channel
        self.position: Position | None = None
        """That of the last publication, if it is known."""
        self.acknowledged = Event()
        """Whether Redis has said that we get the messages."""
        self._node = node
        self._checker = checker
        self._held: deque[tuple[Publication, Excluded]] | None = None
        self._check_again = False

    def subscribed(self) -> None:
        """Take note that messages come from now on, and find out what has been missed."""
        if self.position is not None:
            self.begin_check()
        self.acknowledged.set()
        self.acknowledged = ACKNOWLEDGED

    def take(self, publication: Publication, exclude: Excluded) -> None:
        """Pass a publication on, unless it was passed on before or others are missing."""
        if self._held is not None:
            self._held.append((publication, exclude))
            if len(self._held) > MAX_HELD:
                self._held.popleft()  # which is found missing, and then taken from the history
            return
        position, last = publication.position, self.position
        if position is None or last is None or position == (last.offset + 1, last.epoch):
            self.position = position or last
            self._node.published(publication, exclude)
        elif position.epoch != last.epoch or position.offset > last.offset:
            self.begin_check()
            self.take(publication, exclude)

    def begin_check(self) -> None:
        """Hold back what comes until it is known what is missing."""
        self._check_again = True
        if self._held is None:
            self._held = deque()
            self._checker(self)

    def check(self, history: Callable[[Position], Stream]) -> None:
        """Pass on what is missing, or say that it is lost; then what was held back."""
        while self._check_again and self.position is not None:
            self._check_again = False
            stream = history(self.position)
            for publication in stream.publications:
                self._node.published(publication, NOBODY)
            if not stream.complete:
                self._node.lost(self.channel)
            self.position = stream.top
        held, self._held = self._held or deque(), None
        for publication, exclude in held:
            self.take(publication, exclude)
        self._node.flush()
