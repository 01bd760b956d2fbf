"""The channels of one process: its outlets, one for each hub with subscribers."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any
from weakref import WeakSet

from geventkws.loop.loop import Loop, allocate_lock
from geventkws.pubsub.broker import Broker, Command, Excluded
from geventkws.pubsub.outlet import Outlet
from geventkws.pubsub.settings import matcher
from geventkws.pubsub.tally import TALLY
from geventkws.pubsub.values import NodeInfo, PresenceEvent, Publication, size_of
from geventkws.websocket.connection import WebSocketConnection

logger = logging.getLogger("geventkws.pubsub")

NODES: WeakSet[LocalNode] = WeakSet()

Handler = Callable[[WebSocketConnection, Any], object]
"""Does what a command says with a connection of the user, given its details. Must not wait."""


class LocalNode:
    """A ``Node`` for the broker, and the ``Owner`` of its outlets. In any thread."""

    def __init__(self, make_broker: Callable[[LocalNode], Broker], name: str | None) -> None:
        self.handlers: dict[str, Handler] = {}
        """What to do when a command of this name comes."""
        self._name = name
        self._started = monotonic()
        self._lock = allocate_lock()
        self._outlets: tuple[Outlet, ...] = ()
        self.broker = make_broker(self)
        TALLY.watch(self)
        NODES.add(self)

    def begin_after_fork(self) -> None:
        """Begin without subscribers, in a process that has just been forked: they are the parent's."""
        self._lock = allocate_lock()
        for outlet in self._outlets:
            outlet.forsake()
        self._outlets = ()
        self._started = monotonic()
        self.broker.begin_after_fork()
        TALLY.watch(self)

    @property
    def is_deaf(self) -> bool:
        return self.broker.is_deaf

    def sizes(self) -> tuple[int, int]:
        sizes = [outlet.sizes() for outlet in self._outlets]
        return sum(channels for channels, _ in sizes), sum(subscriptions for _, subscriptions in sizes)

    def outlet(self, loop: Loop) -> Outlet:
        """Return the outlet for the hub of this loop."""
        with self._lock:
            for outlet in self._outlets:
                if outlet.loop is loop:
                    return outlet
            outlet = Outlet(loop, self)
            self._outlets = (*self._outlets, outlet)
            return outlet

    # What the broker tells

    def published(self, publication: Publication, exclude: Excluded) -> None:
        for outlet in self._outlets:
            if outlet.wants(publication.channel):
                outlet.put(partial(outlet.publish, publication, exclude), size_of(publication))

    def presence_changed(self, event: PresenceEvent) -> None:
        for outlet in self._outlets:
            if outlet.wants(event.channel):
                outlet.put(partial(outlet.announce, event))

    def commanded(self, command: Command) -> None:
        handler = self.handlers.get(command.name)
        if handler is None:
            logger.debug("nothing here knows the command %r of another process", command.name)
            return
        for outlet in self._outlets:
            outlet.put(partial(outlet.obey, command, handler))

    def lost(self, channel: str) -> None:
        TALLY.losses += 1
        for outlet in self._outlets:
            outlet.put(partial(outlet.lose, channel))

    def wants(self, channel: str) -> bool:
        return any(outlet.wants(channel) for outlet in self._outlets)

    def flush(self) -> None:
        for outlet in self._outlets:
            outlet.flush()

    def census(self, pattern: str) -> dict[str, int]:
        matches = matcher(pattern)
        total: dict[str, int] = {}
        for outlet in self._outlets:
            for channel, count in outlet.census().items():
                if matches(channel):
                    total[channel] = total.get(channel, 0) + count
        return total

    def describe(self, node_id: str) -> NodeInfo:
        host, pid = socket.gethostname(), os.getpid()
        name = f"{host}:{pid}" if self._name is None else self._name
        connections = sum(outlet.connections for outlet in self._outlets)
        return NodeInfo(node_id, name, host, pid, connections, monotonic() - self._started)

    # What the outlets tell

    def abandoned(self, channel: str, member: str | None) -> None:
        if member is not None:
            self.broker.leave(channel, member)
        if not self.wants(channel):
            self.broker.close(channel)

    def emptied(self, outlet: Outlet) -> None:
        with self._lock:
            self._outlets = tuple(one for one in self._outlets if one is not outlet)


def _begin_after_fork() -> None:
    for node in list(NODES):
        node.begin_after_fork()


os.register_at_fork(after_in_child=_begin_after_fork)
