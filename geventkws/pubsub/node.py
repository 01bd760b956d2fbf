"""The channels of one process: its outlets, one for each hub with subscribers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from geventkws.loop.loop import Loop, allocate_lock
from geventkws.pubsub.broker import Broker, Command, Excluded
from geventkws.pubsub.outlet import Outlet
from geventkws.pubsub.values import PresenceEvent, Publication


class LocalNode:
    """A ``Node`` for the broker, and the ``Owner`` of its outlets. In any thread."""

    def __init__(self, make_broker: Callable[[LocalNode], Broker]) -> None:
        self._lock = allocate_lock()
        self._outlets: tuple[Outlet, ...] = ()
        self.broker = make_broker(self)

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
                outlet.put(partial(outlet.publish, publication, exclude))

    def presence_changed(self, event: PresenceEvent) -> None:
        for outlet in self._outlets:
            if outlet.wants(event.channel):
                outlet.put(partial(outlet.announce, event))

    def commanded(self, command: Command) -> None:
        for outlet in self._outlets:
            outlet.put(partial(outlet.obey, command))

    def lost(self, channel: str) -> None:
        for outlet in self._outlets:
            outlet.put(partial(outlet.lose, channel))

    def wants(self, channel: str) -> bool:
        return any(outlet.wants(channel) for outlet in self._outlets)

    def flush(self) -> None:
        for outlet in self._outlets:
            outlet.flush()

    def census(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for outlet in self._outlets:
            for channel, count in outlet.census().items():
                total[channel] = total.get(channel, 0) + count
        return total

    # What the outlets tell

    def abandoned(self, channel: str, member: str | None) -> None:
        if member is not None:
            self.broker.leave(channel, member)
        if not self.wants(channel):
            self.broker.close(channel)

    def emptied(self, outlet: Outlet) -> None:
        with self._lock:
            self._outlets = tuple(one for one in self._outlets if one is not outlet)
