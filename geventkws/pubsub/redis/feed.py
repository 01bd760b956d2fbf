"""A channel of which this process takes the messages, and whether it has got all of them.

A connection to Redis may be lost and made again, and nobody says what was published meanwhile. So the feed
compares offsets, and asks for the history when one does not follow the one before, and after every
reconnection. Meanwhile it holds back what comes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gevent.event import Event

from geventkws.pubsub.broker import Excluded, Stream
from geventkws.pubsub.redis.envelope import NOBODY
from geventkws.pubsub.values import BrokerRefused, Position, Publication, size_of

logger = logging.getLogger("geventkws.pubsub")

MAX_HELD = 10_000
"""The most publications that are held back."""

ACKNOWLEDGED = Event()
"""For all feeds that Redis has acknowledged, which need none of their own any more. Nobody waits for it."""
ACKNOWLEDGED.set()

MAX_HELD_SIZE = 16 * 1024 * 1024
"""The most bytes that they may take together."""


class Taker(Protocol):
    """What a feed tells: a part of ``Node``."""

    def published(self, publication: Publication, exclude: Excluded) -> None:
        """Take a publication: all of a channel in order, each once."""

    def lost(self, channel: str) -> None:
        """Tell the subscribers of a channel that publications have been lost."""

    def flush(self) -> None:
        """Deliver what has been taken."""


class Checker(Protocol):
    """Lets feeds be checked."""

    def __call__(self, feed: Feed) -> None:
        """Let ``feed.check`` be called in another greenlet."""


class Feed:
    """The messages of one channel on their way to the node. In the reader's thread."""

    __slots__ = (
        "_asked",
        "_check_again",
        "_checker",
        "_held",
        "_held_size",
        "_is_closed",
        "_node",
        "acknowledged",
        "channel",
        "position",
    )

    def __init__(self, channel: str, node: Taker, checker: Checker) -> None:
        self.channel = channel
        self.position: Position | None = None
        """That of the last publication, if it is known."""
        self.acknowledged = Event()
        """Whether Redis has said that we get the messages."""
        self._node = node
        self._checker = checker
        self._held: deque[tuple[Publication, Excluded, int]] | None = None
        self._held_size = 0
        self._asked = 0
        """How often the history was asked for."""
        self._check_again = False
        self._is_closed = False

    def close(self) -> None:
        """Pass nothing on any more: nobody wants it, and another feed will serve whoever comes.

        A check, which may wait for Redis for long, ends without a word.
        """
        self._is_closed = True
        self.acknowledged.set()  # whoever still waits for that has ended

    def subscribed(self) -> None:
        """Messages come from now on: find out what has been missed."""
        if self.position is not None:
            self.begin_check()
        self.acknowledged.set()
        self.acknowledged = ACKNOWLEDGED

    def take(self, publication: Publication, exclude: Excluded) -> None:
        """Pass a publication on, unless it was passed on before or others are missing."""
        if self._held is not None:
            self._hold(self._held, publication, exclude)
            return
        position, last = publication.position, self.position
        if position is None or last is None or position == (last.offset + 1, last.epoch):
            self.position = position or last
            self._node.published(publication, exclude)
        elif position.epoch != last.epoch or position.offset > last.offset:
            self.begin_check()
            self.take(publication, exclude)

    def _hold(
        self, held: deque[tuple[Publication, Excluded, int]], publication: Publication, exclude: Excluded
    ) -> None:
        held.append((publication, exclude, self._asked))
        self._held_size += size_of(publication)
        while len(held) > MAX_HELD or self._held_size > MAX_HELD_SIZE:
            # It is found missing, and then taken from the history.
            self._held_size -= size_of(held.popleft()[0])

    def begin_check(self) -> None:
        """Hold back what comes until it is known what is missing."""
        self._check_again = True
        if self._held is None:
            self._held = deque()
            self._held_size = 0
            self._checker(self)

    def check(self, history: Callable[[Position], Stream]) -> None:
        """Pass on what is missing, or say that it is lost; then what was held back."""
        try:
            while self._check_again and self.position is not None and not self._is_closed:
                self._check_again = False
                self._asked += 1
                self._make_up(history(self.position))
        except BrokerRefused as error:
            self._give_up(error)
        if self._is_closed:
            return
        held, self._held = self._held or deque(), None
        for publication, exclude, asked in held:
            # What came before an epoch that has begun since is lost, as told; to check again would not end.
            if asked == self._asked or not self._is_of_another_epoch(publication):
                self.take(publication, exclude)
        self._node.flush()

    def _is_of_another_epoch(self, publication: Publication) -> bool:
        position, last = publication.position, self.position
        return position is not None and last is not None and position.epoch != last.epoch

    def _make_up(self, stream: Stream) -> None:
        """Pass on a part of the history."""
        if self._is_closed:
            return
        self.position = stream.top
        for publication in stream.publications:
            self._node.published(publication, NOBODY)
            self.position = publication.position
        if self.position != stream.top:
            self._check_again = True  # there is more
        if not stream.complete:
            self._node.lost(self.channel)
        self._node.flush()

    def _give_up(self, error: BrokerRefused) -> None:
        """Say that what is missing is lost."""
        if self._is_closed:
            return
        logger.error("what was published on %r meanwhile is lost: %s", self.channel, error)
        self._node.lost(self.channel)
        self.position = None
