"""Delivers publications in one thread: to the connections of its hub, and to its listeners.

Publications come from any thread. They are put into a queue in the order of their channels, and taken out of
it in the thread of the hub, so that all get them in the same order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from gevent import Greenlet

from geventkws.loop.loop import Loop
from geventkws.pubsub.broker import Command, Excluded
from geventkws.pubsub.few import Few, added, removed
from geventkws.pubsub.listener import Listener
from geventkws.pubsub.subscriber import Encoded, Subscriber
from geventkws.pubsub.tally import TALLY
from geventkws.pubsub.values import PresenceEvent, Publication
from geventkws.websocket.connection import WebSocketConnection
from geventkws.websocket.transitions import call_when_inactive

MAX_QUEUED = 10_000
"""How much may wait for the hub before a native thread that publishes must wait, too."""

MAX_QUEUED_SIZE = 16 * 1024 * 1024
"""How many bytes of messages may."""

Receiver = Subscriber | Listener
Key = WebSocketConnection | Listener
Someone = TypeVar("Someone", Subscriber, Receiver)


class Owner(Protocol):
    """Who must know when nobody is left."""

    def abandoned(self, channel: str, member: str | None) -> None:
        """Learn that somebody has left a channel; ``member`` is the id, if others saw it there."""

    def emptied(self, outlet: Outlet) -> None:
        """Learn that nobody is left here."""


class Outlet:
    """The subscribers of one hub's thread. All in this thread, except ``put``, ``flush`` and ``wants``."""

    def __init__(self, loop: Loop, owner: Owner) -> None:
        self.loop = loop
        self._owner = owner
        self._queue: deque[tuple[Callable[[], object], int]] = deque()
        # Two sums, so that each has one writer: whoever puts (one at a time), and this thread.
        self._put = self._taken = 0
        self._is_draining = False
        self._receivers: dict[str, dict[Key, Receiver]] = {}
        # Those of them who want to know who joins and leaves: mostly none, however many there are.
        self._watchers: dict[str, dict[Key, Subscriber]] = {}
        self._subscriptions = 0
        self._channels: dict[WebSocketConnection, Few[str]] = {}
        self._users: dict[str, Few[WebSocketConnection]] = {}
        self._user_of: dict[WebSocketConnection, str] = {}
        self._when_inactive: Callable[[WebSocketConnection], object] | None = None
        """``_forget``, once for all connections; ``None`` while there are none, or it would be a cycle."""

    def wants(self, channel: str) -> bool:
        """Return whether anybody here listens to a channel. In any thread."""
        return channel in self._receivers

    def census(self) -> dict[str, int]:
        """Return how many have subscribed to each channel. In any thread."""
        return {channel: len(receivers) for channel, receivers in self._receivers.copy().items()}

    def sizes(self) -> tuple[int, int]:
        """Return how many channels and subscriptions there are. In any thread."""
        return len(self._receivers), self._subscriptions

    @property
    def connections(self) -> int:
        """How many have subscribed or been identified. In any thread."""
        return len(self._channels)

    # The queue

    def put(self, call: Callable[[], object], size: int = 0) -> None:
        """Let the outlet make a call in its turn, for which ``size`` bytes are kept. In any thread."""
        self._queue.append((call, size))
        if size:
            self._put += size

    def flush(self) -> None:
        """Let what was put be delivered. In any thread; a native one waits if too much is waiting."""
        if not self.loop.is_foreign_thread():
            self.drain()
        elif not self.loop.call_from_thread(self.drain):
            self._owner.emptied(self)  # the thread of the hub has ended, and its connections with it
        elif len(self._queue) > MAX_QUEUED or self._put - self._taken > MAX_QUEUED_SIZE:
            with suppress(RuntimeError):  # the thread ends just now
                self.loop.wait_for_call(self.drain)

    def drain(self) -> None:
        """Deliver everything that was put."""
        if self._is_draining:
            return
        self._is_draining = True
        try:
            while self._queue:
                call, size = self._queue.popleft()
                self._taken += size
                call()
        finally:
            self._is_draining = False
            if self._queue:  # the greenlet was killed, or its time was up: others must not wait for it
                Greenlet.spawn(self.drain)

    def publish(self, publication: Publication, exclude: Excluded) -> None:
        """Give a publication to those who have subscribed."""
        encoded: Encoded = {}
        receivers = deque(self._receivers.get(publication.channel, {}).values())
        TALLY.delivered(len(receivers))
        self._give(receivers, lambda receiver: receiver.take(publication, exclude, encoded))

    def announce(self, event: PresenceEvent) -> None:
        """Tell those subscribers of a channel who want to know that somebody has joined or left it."""
        encoded: Encoded = {}
        watchers = deque(self._watchers.get(event.channel, {}).values())
        self._give(watchers, lambda watcher: watcher.take_event(event, encoded))

    def _give(self, receivers: deque[Someone], give: Callable[[Someone], None], again: bool = False) -> None:
        """Give something to each receiver.

        If the greenlet is killed, or its time is up, while a receiver's function waits, that receiver and
        those behind it get it in another greenlet; a receiver to which that happens again fails.
        """
        while receivers:
            try:
                give(receivers[0])
            except BaseException as error:
                if again:
                    receivers.popleft().fail(error)
                self._queue.appendleft((partial(self._give, receivers, give, not again), 0))
                raise
            receivers.popleft()
            again = False

    def lose(self, channel: str) -> None:
        """Tell those who have subscribed that some of the channel is lost."""
        for receiver in list(self._receivers.get(channel, {}).values()):
            receiver.lose(channel)

    def obey(self, command: Command, handler: Callable[[WebSocketConnection, Any], object]) -> None:
        """Do with the connections of a user what the command says."""
        for connection in list(self._users.get(command.user, ())):
            handler(connection, command.details)

    # Who is here

    def subscribe(self, connection: WebSocketConnection, channel: str, subscriber: Subscriber) -> None:
        """Add a subscriber, instead of the one that the connection may have had."""
        self._channels[connection] = added(self._known(connection), channel)
        self._add(channel, connection, subscriber)

    def channels(self, connection: WebSocketConnection) -> Collection[str]:
        """Return the channels that a connection has subscribed to."""
        return self._channels.get(connection, ())

    def subscriber(self, connection: WebSocketConnection, channel: str) -> Subscriber | None:
        """Return the subscriber for a connection, if there is one."""
        receiver = self._receivers.get(channel, {}).get(connection)
        return receiver if isinstance(receiver, Subscriber) else None

    def unsubscribe(self, connection: WebSocketConnection, channel: str) -> None:
        """Remove a subscriber, if there is one."""
        subscriber = self.subscriber(connection, channel)
        if subscriber is not None:
            self._channels[connection] = removed(self._channels[connection], channel)
            self._remove(channel, connection)
            self._owner.abandoned(channel, connection.id if subscriber.is_present else None)

    def listen(self, listener: Listener, channel: str) -> None:
        """Add a listener."""
        self._add(channel, listener, listener)

    def stop_listening(self, listener: Listener, channel: str) -> None:
        """Remove a listener, if it is there."""
        if listener in self._receivers.get(channel, {}):
            self._remove(channel, listener)
            self._owner.abandoned(channel, None)
            self._check_whether_empty()

    def identify(self, connection: WebSocketConnection, user: str) -> None:
        """Remember which user a connection belongs to, instead of any that it belonged to before."""
        self._known(connection)
        self._forget_user(connection)
        self._users[user] = added(self._users.get(user, ()), connection)
        self._user_of[connection] = user

    def _known(self, connection: WebSocketConnection) -> Few[str]:
        """Return the channels of a connection, which is forgotten when it ends."""
        if connection not in self._channels:
            self._channels[connection] = ()
            self._when_inactive = self._when_inactive or self._forget
            call_when_inactive(connection, self._when_inactive)
        return self._channels[connection]

    def forsake(self) -> None:
        """Forget all, without telling anybody."""
        for known in (
            self._queue,
            self._receivers,
            self._watchers,
            self._channels,
            self._users,
            self._user_of,
        ):
            known.clear()
        self._subscriptions = 0

    def _forget(self, connection: WebSocketConnection) -> None:
        for channel in list(self._channels.get(connection, ())):
            self.unsubscribe(connection, channel)
        self._channels.pop(connection, None)
        self._forget_user(connection)
        self._check_whether_empty()

    def _forget_user(self, connection: WebSocketConnection) -> None:
        user = self._user_of.pop(connection, None)
        if user is not None:
            others = removed(self._users.pop(user), connection)
            if others:
                self._users[user] = others

    def _add(self, channel: str, key: Key, receiver: Receiver) -> None:
        receivers = self._receivers.setdefault(channel, {})
        self._subscriptions += key not in receivers
        receivers[key] = receiver
        _drop(self._watchers, channel, key)
        if isinstance(receiver, Subscriber) and receiver.is_watching:
            self._watchers.setdefault(channel, {})[key] = receiver

    def _remove(self, channel: str, key: Key) -> None:
        _drop(self._receivers, channel, key)
        _drop(self._watchers, channel, key)
        self._subscriptions -= 1

    def _check_whether_empty(self) -> None:
        if not self._receivers and not self._channels:
            self._when_inactive = None
            self._owner.emptied(self)


def _drop(rooms: dict[str, dict[Key, Someone]], channel: str, key: Key) -> None:
    """Let somebody leave a channel, if they are there, and the channel go if nobody is left."""
    room = rooms.get(channel)
    if room is not None:
        room.pop(key, None)
        if not room:
            del rooms[channel]
