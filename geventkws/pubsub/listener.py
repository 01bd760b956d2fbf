"""Code that listens to a channel without a connection."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from gevent import Greenlet

from geventkws.pubsub.broker import Excluded
from geventkws.pubsub.subscriber import Encoded
from geventkws.pubsub.tally import TALLY
from geventkws.pubsub.values import Publication, size_of

logger = logging.getLogger("geventkws.pubsub")

MAX_WAITING = 10_000
"""The most publications that wait for a callback."""

MAX_WAITING_SIZE = 16 * 1024 * 1024
"""The most bytes that they may take together."""


class Listener:
    """Calls a function with each publication of a channel, one after the other, in a greenlet.

    ``dropped`` counts the publications that the function was not called with, because ``MAX_WAITING`` others,
    or ``MAX_WAITING_SIZE`` bytes, were waiting already.
    """

    def __init__(
        self, callback: Callable[[Publication], object], on_stop: Callable[[Listener], None]
    ) -> None:
        self.dropped = 0
        self._callback = callback
        self._on_stop = on_stop
        self._waiting: deque[Publication] = deque()
        self._size = 0
        self._is_calling = False

    def stop(self) -> None:
        """Stop listening, and drop what is waiting for the function. In the thread that has listened."""
        self._on_stop(self)
        self._waiting.clear()
        self._size = 0

    def take(self, publication: Publication, exclude: Excluded, encoded: Encoded) -> None:
        """Let the function be called, without waiting for it."""
        size = size_of(publication)
        if len(self._waiting) >= MAX_WAITING or self._size + size > MAX_WAITING_SIZE:
            if not self.dropped:
                logger.warning("a listener to %r is too slow: it misses publications", publication.channel)
            self.dropped += 1
            TALLY.dropped += 1
            return
        self._waiting.append(publication)
        self._size += size
        if not self._is_calling:
            self._is_calling = True
            Greenlet.spawn(self._call)

    def fail(self, error: BaseException) -> None:
        """Do nothing: a listener's function is called in a greenlet of its own."""

    def lose(self, channel: str) -> None:
        """Say that publications are missing."""
        logger.warning("publications of %r have been lost before a listener got them", channel)

    def _call(self) -> None:
        while self._waiting:
            publication = self._waiting.popleft()
            self._size -= size_of(publication)
            try:
                self._callback(publication)
            except BaseException:  # a gevent.Timeout, too
                logger.exception("a listener to %r has failed", publication.channel)
        self._is_calling = False
