"""The end of a server's connections: they are asked to end, waited for, and dropped when the time is up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic

from gevent import Greenlet, getcurrent
from gevent.event import Event as Signal

from geventkws.http.connection import FIRST_REQUEST
from geventkws.loop.channel import Channel
from geventkws.loop.farewell import LAST_MOMENT
from geventkws.loop.loop import Loop
from geventkws.loop.workers import borrower_at_work
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.server.connections import Connections
from geventkws.server.departure import Departure
from geventkws.websocket.connection import WebSocketConnection

logger = logging.getLogger("geventkws.server")

LAST_CALLS = 1.0
"""Seconds that the callbacks of dropped connections have to return."""

LONGEST_LOOK = 0.05
"""Seconds between two checks whether all services have been called."""

FIRST_REPORT = 1.0
"""Seconds after which the log says who is being waited for."""

NEXT_REPORT = 5.0
"""Seconds after which the log says so again."""

MOST_NAMED = 5
"""How many connections a line of the log names."""


class Shutdown:
    """The end of the connections of one server, for all the callers of its ``stop`` together."""

    def __init__(self, loop: Loop, connections: Connections) -> None:
        self._loop = loop
        self._connections = connections
        self._changed = Signal()
        self.reason = WebSocketCloseReasonCode.GOING_AWAY
        """What WebSockets are closed with."""
        self._end: float | None = None
        self._reported_at = 0.0
        self._is_left_to_caller = False
        self._is_over = False
        # Those named in a warning: of several calls, only the first gives it.
        self._dropped: set[Channel] = set()
        self._given_up: set[Channel] = set()

    def run(
        self, timeout: float | None, default: float, reason: WebSocketCloseReasonCode, window: float
    ) -> None:
        """Say good-bye to all connections and wait for them, ``timeout`` seconds or the ``default``.

        WebSockets are closed with ``reason``, spread over ``window`` seconds.

        A call during another waits with it, and can shorten its time but not extend it. Does not wait for the
        connection that the calling greenlet works for, which cannot end before this returns.
        """
        own = self._own_channel()
        self._begin(timeout, default, reason, window)
        others = partial(self._others, own)
        if not self._wait_until(lambda: not self._busy(others), lambda: self._end or 0.0, others):
            self._drop(others)
        deadline = monotonic() + LAST_MOMENT
        # A callback that blocks keeps its connection in the table, but the peer need not be waited for.
        self._wait_until(lambda: not any(channel.is_open for channel in others()), lambda: deadline)
        for channel in list(others()):
            channel.owner._abandon()
        if own is None or own not in self._connections.peers:
            self._finish()
        else:
            self._is_left_to_caller = True

    def connection_gone(self) -> None:
        """Check who is left, now that a connection has left the table. In any greenlet."""
        self._changed.set()
        if self._is_left_to_caller and not self._connections.peers:
            Greenlet.spawn(self._finish)  # the hub cannot wait for a log

    def forsake(self) -> None:
        """End without a word: this is a child process, and the connections belong to its parent."""
        self._is_over = True
        self._connections.stop_clock()
        channels = list(self._connections.peers)
        self._connections.peers.clear()
        for channel in channels:
            channel.owner._forsake()

    def _begin(
        self, timeout: float | None, default: float, reason: WebSocketCloseReasonCode, window: float
    ) -> None:
        if self._end is None:
            self.reason = reason
            self._end = monotonic() + (default if timeout is None else timeout)
            self._reported_at = monotonic() - NEXT_REPORT + FIRST_REPORT
            said = Signal()
            # After the calls of other threads: what their ``send`` has taken goes out first.
            self._loop.call_from_thread(self._say_goodbye, said, window)
            said.wait(LAST_CALLS)
        elif timeout is not None:
            self._end = min(self._end, monotonic() + timeout)
            self._changed.set()

    def _say_goodbye(self, said: Signal, window: float) -> None:
        self._connections.watch(FIRST_REQUEST)
        for channel in list(self._connections.peers):
            if not isinstance(channel.owner, WebSocketConnection):
                channel.owner._hurry()
        departure = Departure(self._connections.websockets, self.reason, window)
        if window:
            Greenlet.spawn(departure.run, lambda: self._end or 0.0)
        else:
            departure.ask(1.0)
        said.set()

    def _own_channel(self) -> Channel | None:
        """Return the channel of the connection whose callback or application is calling, if there is one."""
        me, borrower = getcurrent(), borrower_at_work()
        for channel in self._connections.peers:
            owner: object = channel.owner
            if owner is borrower or getattr(owner, "greenlet", None) is me:
                return channel
        return None

    def _others(self, own: Channel | None) -> Iterator[Channel]:
        return (channel for channel in self._connections.peers if channel is not own)

    def _busy(self, others: Callable[[], Iterator[Channel]]) -> bool:
        # Whenever a connection ends, this is asked: it is enough to find the first busy one.
        return any(channel.owner._is_busy() for channel in others())

    def _wait_until(
        self,
        is_so: Callable[[], bool],
        end: Callable[[], float],
        awaited: Callable[[], Iterator[Channel]] | None = None,
    ) -> bool:
        """Wait until ``is_so()``, but not beyond ``end()``; return whether it is.

        The log says who is ``awaited``.
        """
        while not is_so():
            left = end() - monotonic()
            if left <= 0:
                return False
            if awaited is not None:
                self._report(awaited, left)
            self._changed.clear()
            # Nothing reports that a callback has returned, so this is checked again from time to time.
            self._changed.wait(min(max(left, 0.001), LONGEST_LOOK))  # libuv has no shorter waits
        return True

    def _report(self, awaited: Callable[[], Iterator[Channel]], left: float) -> None:
        now = monotonic()
        if now - self._reported_at >= NEXT_REPORT:
            self._reported_at = now
            busy = [channel for channel in awaited() if channel.owner._is_busy()]
            logger.info("Stopping: waiting up to %.0f s more for %s", left, _names(busy))

    def _drop(self, others: Callable[[], Iterator[Channel]]) -> None:
        self._warn("Stopping: the time is up, dropped: %s", others, self._dropped)
        for channel in list(others()):
            channel.owner._abandon()
        deadline = monotonic() + LAST_CALLS
        if not self._wait_until(lambda: not self._busy(others), lambda: deadline):
            self._warn("Some callbacks did not end in time: %s", others, self._given_up)
            for channel in [each for each in others() if each.owner._is_busy()]:
                channel.release()

    def _warn(self, text: str, others: Callable[[], Iterator[Channel]], known: set[Channel]) -> None:
        """Name in the log those of ``others`` that are busy and not yet ``known``; add them to these."""
        busy = [channel for channel in others() if channel.owner._is_busy() and channel not in known]
        if busy:
            known.update(busy)
            logger.warning(text, _names(busy))

    def _finish(self) -> None:
        self._is_left_to_caller = False
        self._connections.stop_clock()
        if not self._is_over:
            self._is_over = True
            logger.info("Stopped")


def _names(busy: Sequence[Channel]) -> str:
    """Return in words who is busy."""
    named = ", ".join(channel.owner._describe() for channel in busy[:MOST_NAMED])
    more = len(busy) - MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
