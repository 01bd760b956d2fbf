"""Who is on which channel, as far as connections of this process are: kept alive in Redis while they are.

The members of a process are removed when its lease has expired. Besides, each is remembered for a minute
only, and renewed three times within it: so whatever Redis has lost or kept too long is right a minute later.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent.event import Event

from geventkws.pubsub.redis.link import LOST
from geventkws.pubsub.redis.scripts import JOIN, LEAVE, PRESENCE

TTL = 60
"""Seconds for which a member is remembered."""

RENEWAL = 20.0
"""Seconds between two renewals."""

Call = Callable[..., Any]
"""Runs a script on a channel with these arguments, and perhaps another key."""


class Members:
    """The members of this process. In the reader's thread, except ``present``."""

    def __init__(self, call: Call, own_key: str) -> None:
        self._call = call
        self._own_key = own_key
        self._infos: dict[tuple[str, str], str] = {}
        self._leaving: deque[tuple[str, str]] = deque()
        self._is_leaving = Event()
        self._must_renew = Event()
        self._greenlets = [gevent.spawn(work) for work in (self._renew, self._tell_who_leaves)]

    def stop(self) -> None:
        """Renew nothing any more."""
        gevent.killall(self._greenlets)

    def forsake(self) -> None:
        """Leave them to the parent process. Never waits."""
        gevent.killall(self._greenlets, block=False)

    def join(self, channel: str, member: str, info: Any) -> None:
        """Let others see a member."""
        self._infos[channel, member] = json.dumps(info)
        self._renew_one(channel, member)

    def leave(self, channel: str, member: str) -> None:
        """Let others no longer see it. Never waits."""
        self._infos.pop((channel, member), None)
        self._leaving.append((channel, member))
        self._is_leaving.set()

    def _renew_one(self, channel: str, member: str) -> None:
        info = self._infos.get((channel, member))
        if info is not None:
            self._call(JOIN, channel, (member, info, str(TTL), channel), self._own_key)
            if (channel, member) not in self._infos:
                self.leave(channel, member)  # while it was renewed

    def renew_soon(self) -> None:
        """Tell Redis of all members, which may have forgotten them. Never waits."""
        self._must_renew.set()

    def _renew(self) -> None:
        while True:
            self._must_renew.wait(RENEWAL)
            self._must_renew.clear()
            for channel, member in list(self._infos):
                try:
                    self._renew_one(channel, member)
                except LOST:  # or Redis refuses it, without memory left for example
                    break  # all are renewed when Redis is back

    def _tell_who_leaves(self) -> None:
        while True:
            self._is_leaving.wait()
            self._is_leaving.clear()
            while self._leaving:
                channel, member = self._leaving.popleft()
                with suppress(*LOST):  # then it is forgotten in a minute
                    if (channel, member) not in self._infos:  # it may have come back
                        self._call(LEAVE, channel, (member, channel), self._own_key)


def present(call: Call, channel: str) -> dict[str, Any]:
    """Return who is on a channel."""
    words: list[bytes] = call(PRESENCE, channel, ())
    pairs = zip(words[::2], words[1::2], strict=True)
    return {member.decode(): json.loads(info) for member, info in pairs}
