"""That a node is there: it says so every few seconds, and is believed for a while.

Whoever renews a lease removes the members of nodes whose lease has expired: the script that does both runs in
one step, so each member is removed once, and is said to have left once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import gevent

from geventkws.pubsub.redis.link import LOST
from geventkws.pubsub.redis.scripts import HEARTBEAT, NODES, Script
from geventkws.pubsub.values import NodeInfo

INTERVAL = 5.0
"""Seconds between two renewals."""

TTL = 20.0
"""Seconds for which a lease lasts."""

MAX_REMOVED = 1000
"""The most members that are removed in one step, in which Redis does nothing else."""

GOODBYE_TIMEOUT = 1.0
"""Seconds within which a node that stops must have said so; otherwise, its lease expires."""

Call = Callable[[Script, Sequence[str], Callable[[str], Sequence[str | float]]], Any]
"""Runs a script with these keys and arguments."""


class Lease:
    """The lease of this node. In the reader's thread."""

    def __init__(
        self,
        call: Call,
        prefix: str,
        node_id: str,
        describe: Callable[[str], NodeInfo],
        renew_members: Callable[[], object],
    ) -> None:
        self.own_key = f"{prefix}:members:{node_id}"
        """The key of a set with the members of this node."""
        self._call = call
        self._prefix = prefix
        self._id = node_id
        self._describe = describe
        self._renew_members = renew_members
        self._keeper = gevent.spawn(self._keep)

    def stop(self, say_goodbye: bool) -> None:
        """Renew it no longer; if Redis can be told, let it expire now."""
        self._keeper.kill()
        if say_goodbye:
            saying = gevent.spawn(self._say_goodbye)
            saying.join(GOODBYE_TIMEOUT)
            saying.kill()

    def forsake(self) -> None:
        """Leave it to the parent process. Never waits."""
        self._keeper.kill(block=False)

    def _say_goodbye(self) -> None:
        with suppress(*LOST):
            self._renew(0.0)

    def _keep(self) -> None:
        is_first = True
        while True:
            try:
                was_known, left = self._renew(TTL)
            except LOST:
                was_known, left = 1, 1  # it is known when Redis is back
            if not was_known and not is_first:
                self._renew_members()
            is_first = False
            gevent.sleep(INTERVAL if left else 0)

    def _renew(self, ttl: float) -> tuple[int, int]:
        info = json.dumps(self._describe(self._id))
        was_known, left = self._call(
            HEARTBEAT,
            (*node_keys(self._prefix), self.own_key),
            lambda run: (self._id, info, ttl, TTL, self._prefix, MAX_REMOVED),
        )
        return was_known, left


def node_keys(prefix: str) -> tuple[str, str]:
    """Return the keys of what is known of the nodes: what they say of themselves, and their leases."""
    return f"{prefix}:nodes", f"{prefix}:leases"


def nodes(call: Call, prefix: str) -> list[NodeInfo]:
    """Return the nodes whose leases have not expired."""
    infos: Iterable[bytes] = call(NODES, node_keys(prefix), lambda run: ())
    return [NodeInfo(*json.loads(info)) for info in infos if info]
