"""``PubSub``: everything that services, views and scripts do with channels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, TypeVar

from gevent import Greenlet

from geventkws.loop.loop import Loop
from geventkws.pubsub.arguments import (
    check_json,
    check_key,
    check_message,
    check_since,
    check_user,
    excluded_ids,
)
from geventkws.pubsub.broker import Broker, Command, Node, Stream
from geventkws.pubsub.listener import Listener
from geventkws.pubsub.memory import MemoryBroker
from geventkws.pubsub.node import LocalNode
from geventkws.pubsub.settings import Patterns, Settings, check_channel
from geventkws.pubsub.subscriber import Announce, Subscriber, Transform
from geventkws.pubsub.tally import TALLY
from geventkws.pubsub.values import Message, NodeInfo, Position, PositionLost, Publication, Subscription
from geventkws.websocket.arguments import close_code
from geventkws.websocket.connection import WebSocketConnection

logger = logging.getLogger("geventkws.pubsub")

Result = TypeVar("Result")

MAX_MESSAGE_SIZE = 1024 * 1024
"""The largest message that may be published, in bytes, unless ``PubSub`` is given another limit."""


class PubSub:
    """Channels of messages, to which connections subscribe, and anybody may publish.

    A channel needs no declaration: it is there as soon as somebody subscribes or publishes. ``publish``,
    ``history``, ``presence``, ``disconnect`` and ``channels`` may be called in any greenlet and in any native
    thread, with or without a server; so may the methods that take a connection.

    Without a ``url``, they are those of one process. With one, they are shared by all processes that use the
    same Redis or Valkey, version 7 or later, and the same ``prefix`` of its keys: ``redis://host:6379/0``,
    ``rediss://`` for TLS, ``unix:///path``, as in redis-py (the extra ``redis``); or
    ``redis+sentinel://host:26379,host:26379/service/0`` for the master that Sentinel knows. Nothing is
    connected before it is needed; then, whatever cannot be done within about 20 seconds raises
    ``BrokerUnavailable``.

    ``max_message_size`` is the largest message that may be published, in bytes. ``name`` is what ``nodes``
    calls this process; by default, it is made of its host and its id.
    """

    _any_in_memory: ClassVar[bool] = False
    """Whether this process has one without a ``url``, which other processes do not share."""

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str = "geventkws",
        max_message_size: int = MAX_MESSAGE_SIZE,
        name: str | None = None,
    ) -> None:
        self._max_message_size = max_message_size
        self._patterns = Patterns()
        self._node = LocalNode(MemoryBroker if url is None else _redis_broker(url, prefix), name)
        self._broker = self._node.broker
        self._node.handlers["disconnect"] = _close
        self._node.handlers["unsubscribe"] = self._obey_unsubscribe
        if url is None:
            PubSub._any_in_memory = True

    @property
    def is_deaf(self) -> bool:
        """Whether messages do not arrive now, because Redis is away. They are made up for when it is back."""
        return self._broker.is_deaf

    def close(self) -> None:
        """Close the connections to Redis, in the thread that has subscribed. Nothing arrives any more."""
        self._broker.stop()

    def configure(
        self, pattern: str, history_size: int = 0, history_ttl: float = 300, presence: bool = False
    ) -> None:
        """Say what is kept for the channels whose names match ``pattern``, where ``*`` stands for anything.

        ``history_size`` is how many publications are kept, 0 for none, and ``history_ttl`` for how many
        seconds. ``presence`` says whether to keep who has subscribed. Of several patterns that match, the
        last one given counts. To be called before the channels are used. Raises ``TypeError`` or
        ``ValueError`` for what makes no sense.
        """
        self._patterns.add(pattern, Settings(history_size, history_ttl, presence))

    # Subscribing

    def subscribe(
        self,
        connection: WebSocketConnection,
        channel: str,
        info: Any = None,
        since: Position | None = None,
        transform: Transform | None = None,
        announce: Announce | None = None,
    ) -> Subscription:
        """Let a connection get the messages of a channel, until it ends or is unsubscribed.

        ``info`` is what others see of it in ``presence``: anything that JSON can express. ``since`` is the
        position up to which the client has got everything: what was published later is sent first, if it is
        all still there, and then what is published from now on, without gaps or duplicates.

        ``transform(publication)`` returns the message to send, or ``None`` to send nothing; by default, the
        message is sent as it was published. ``announce(event)`` does the same for a ``PresenceEvent``;
        by default, nothing is sent. Both must not wait; each is called once for all connections that
        subscribed with the same function. What they raise is logged, and the connection ends with 1011.

        A connection that reads too slowly ends with 1013. Subscribing again replaces the subscription.
        A connection that is no longer open is not subscribed. Returns how the subscription began.
        """
        loop = _loop_of(connection)
        check_channel(channel)
        check_since(since)
        check_json(info, "the info of a subscriber")
        hash((transform, announce))  # raises TypeError
        is_present = self._patterns.settings_of(channel).presence
        subscriber = Subscriber(connection, transform, announce, is_present)
        return _call_in(loop, lambda: self._subscribe(connection, channel, info, since, subscriber))

    def _subscribe(
        self,
        connection: WebSocketConnection,
        channel: str,
        info: Any,
        since: Position | None,
        subscriber: Subscriber,
    ) -> Subscription:
        if not connection.active:
            return Subscription(False, None)
        with self._attached(connection, channel, subscriber, info):
            return self._catch_up(subscriber, channel, since)

    @contextmanager
    def _attached(
        self, connection: WebSocketConnection, channel: str, subscriber: Subscriber, info: Any
    ) -> Iterator[None]:
        """Let a subscriber take what comes on a channel, for good unless an exception is raised within."""
        outlet = self._node.outlet(connection._channel.loop)
        outlet.drain()  # what was published before is not for this subscriber
        outlet.subscribe(connection, channel, subscriber)
        try:
            self._broker.open(channel)
            if subscriber.is_present and outlet.subscriber(connection, channel) is subscriber:
                self._broker.join(channel, connection.id, info)
            yield
        except BaseException:
            outlet.unsubscribe(connection, channel)
            raise

    def _channels(self, connection: WebSocketConnection) -> Collection[str]:
        """Return the channels of a connection. In its thread."""
        return self._node.outlet(connection._channel.loop).channels(connection)

    def _subscriber(self, connection: WebSocketConnection, channel: str) -> Subscriber | None:
        """Return what has subscribed a connection to a channel, if it has. In its thread."""
        return self._node.outlet(connection._channel.loop).subscriber(connection, channel)

    def _catch_up(self, subscriber: Subscriber, channel: str, since: Position | None) -> Subscription:
        """Send what was published after ``since``, and let the subscriber go live."""
        settings = self._patterns.settings_of(channel)
        if not settings.history_size:
            return Subscription(False, subscriber.go_live([], None))
        stream = self._broker.history(channel, since, None if since else 0, settings)
        position = subscriber.go_live(stream.publications, stream.top)
        return Subscription(since is not None and stream.complete, position)

    def unsubscribe(self, connection: WebSocketConnection | str, channel: str) -> None:
        """End a subscription, if there is one; that of a user (a ``str``), on all connections of the user."""
        check_channel(channel)
        if isinstance(connection, str):
            self._broker.command(Command(connection, "unsubscribe", channel))
            return
        loop = _loop_of(connection)
        _call_in(loop, lambda: self._obey_unsubscribe(connection, channel))

    def _obey_unsubscribe(self, connection: WebSocketConnection, channel: str) -> None:
        self._node.outlet(connection._channel.loop).unsubscribe(connection, channel)

    def _stream(self, channel: str, since: Position | None, limit: int | None) -> Stream:
        """Return what ``Broker.history`` does; with neither ``since`` nor ``limit``, everything."""
        settings = self._patterns.settings_of(channel)
        if since is None and limit is None:
            limit = settings.history_size
        return self._broker.history(channel, since, limit, settings)

    def _check(self, channel: str) -> None:
        """Find out, in the background, whether all that was published on a channel has come."""
        self._broker.check(channel)

    def listen(self, channel: str, callback: Callable[[Publication], object]) -> Listener:
        """Call ``callback(publication)`` for each message of a channel, without a connection.

        The callback may wait. It is called in a greenlet of the calling thread's hub, one publication after
        the other; an exception is logged. Up to 10,000 publications wait for it, and further ones are
        dropped. Returns a ``Listener``, whose ``stop()`` ends it.
        """
        check_channel(channel)
        if not callable(callback):
            raise TypeError(f"listen takes a function to call with each publication, not {callback!r}")
        outlet = self._node.outlet(Loop.current())
        listener = Listener(callback, lambda one: outlet.stop_listening(one, channel))
        outlet.listen(listener, channel)
        try:
            self._broker.open(channel)
            settings = self._patterns.settings_of(channel)
            if settings.history_size:
                self._broker.history(channel, None, 0, settings)  # from here on, nothing is missed
        except BaseException:
            listener.stop()
            raise
        return listener

    # Publishing

    def publish(
        self,
        channel: str,
        message: Message | bytearray | memoryview,
        exclude: WebSocketConnection | Iterable[WebSocketConnection] | None = None,
        key: str | None = None,
    ) -> Position | None:
        """Send a message to all who have subscribed to a channel: ``str`` as text, ``bytes`` as binary.

        ``exclude``, a connection or several, are not sent it now, though it is in the history. If a message
        with the same ``key`` was published on the channel within the last five minutes, nothing is sent, and
        the position of that one is returned: so a publication may be repeated when it is not known whether
        it succeeded.

        Never waits for subscribers, but for Redis, and so not in the hub itself. Returns the position of the
        message, or ``None`` in a channel without history. Raises ``TypeError`` for a message of another type,
        and ``ValueError`` for one that is too large or, if text, not UTF-8; with Redis, ``BrokerUnavailable``
        if it does not answer: then it is not known whether the message was published.
        """
        check_channel(channel)
        if isinstance(message, (bytearray, memoryview)):
            message = bytes(message)
        check_message(message, self._max_message_size)
        check_key(key)
        settings = self._patterns.settings_of(channel)
        position = self._broker.publish(channel, message, excluded_ids(exclude), key, settings)
        TALLY.published()
        return position

    # Looking

    def history(self, channel: str, since: Position | None = None, limit: int = 100) -> list[Publication]:
        """Return publications of a channel, the oldest first, ``limit`` at most.

        They are the first ones after ``since``; without it, the last ones. Raises ``PositionLost`` if some of
        those after ``since`` are no longer there.
        """
        check_channel(channel)
        check_since(since)
        if limit < 1:
            raise ValueError(f"limit must be a number of publications, 1 or more, not {limit!r}")
        settings = self._patterns.settings_of(channel)
        if not settings.history_size:
            return []
        stream = self._broker.history(channel, since, limit, settings)
        if not stream.complete:
            raise PositionLost(f"the history of {channel!r} no longer has everything after {since}")
        return stream.publications

    def remove_history(self, channel: str) -> None:
        """Forget what was published on a channel.

        Offsets go on from where they were, so those who have got everything notice nothing; others do not
        recover what they have missed.
        """
        check_channel(channel)
        self._broker.remove_history(channel)

    def presence(self, channel: str) -> dict[str, Any]:
        """Return who has subscribed to a channel: the id of each connection with its ``info``.

        Empty unless ``configure`` has asked for presence.
        """
        check_channel(channel)
        return self._broker.presence(channel)

    def channels(self, pattern: str = "*") -> dict[str, int]:
        """Return the channels that somebody has subscribed or listens to, and how many have, on all nodes.

        Only those whose names match ``pattern``, where ``*`` stands for anything. With Redis, all nodes are
        asked, and those that do not answer within 2 seconds are left out.
        """
        check_channel(pattern)
        return self._broker.census(pattern)

    def nodes(self) -> list[NodeInfo]:
        """Return the processes that have subscribed, listen, or know a user.

        With Redis, each says every 5 seconds that it is there. One that has not done so for 20 seconds is no
        longer returned, and its members leave their channels.
        """
        return self._broker.nodes()

    # Users

    def identify(self, connection: WebSocketConnection, user: str) -> None:
        """Remember whose connection this is, for ``disconnect`` and ``unsubscribe``."""
        check_user(user)
        loop = _loop_of(connection)
        _call_in(loop, lambda: self._identify(connection, user))

    def _identify(self, connection: WebSocketConnection, user: str) -> None:
        if connection.active:
            self._broker.start()
            self._node.outlet(connection._channel.loop).identify(connection, user)

    def disconnect(self, user: str, reason: int | None = None) -> None:
        """Close all connections of a user with this code, by default 1000.

        Raises what ``WebSocketConnection.close`` raises for a reason that cannot be sent.
        """
        check_user(user)
        self._broker.command(Command(user, "disconnect", int(close_code(reason, None))))

    def on_command(self, name: str, handler: Callable[[WebSocketConnection, Any], object]) -> None:
        """Call ``handler(connection, details)`` when a ``command`` of this name comes.

        It is called for each connection of the user on this node, in a greenlet of the connection's hub, and
        may wait. An exception is logged. Raises ``ValueError`` if the name has a handler.
        """
        if not callable(handler):
            raise TypeError(f"on_command takes a function to call with each connection, not {handler!r}")
        if name in self._node.handlers:
            raise ValueError(f"the command {name!r} has a handler already")
        self._node.handlers[name] = partial(Greenlet.spawn, _handle, name, handler)

    def command(self, user: str, name: str, details: Any = None) -> None:
        """Let every node call what ``on_command`` was given for ``name``, for the connections of a user.

        ``details`` is anything that JSON can express. A node on which no ``on_command`` has named it does
        nothing. Each node gets a command once, also if it was cut off from Redis for less than a minute.
        Raises ``BrokerUnavailable`` if Redis does not answer: then other nodes may not have got it.
        """
        check_user(user)
        if name not in self._node.handlers:
            raise ValueError(f"no on_command has been called for {name!r}")
        check_message(check_json(details, "the details of a command"), self._max_message_size)
        self._broker.command(Command(user, name, details))


def _close(connection: WebSocketConnection, reason: int) -> None:
    connection.close(reason)


def _handle(
    name: str, handler: Callable[[WebSocketConnection, Any], object], connection: Any, details: Any
) -> None:
    try:
        handler(connection, details)
    except Exception:
        logger.exception("the handler of the command %r has failed", name)


def _redis_broker(url: str, prefix: str) -> Callable[[Node], Broker]:
    try:
        from geventkws.pubsub.redis.broker import RedisBroker
    except ImportError as error:
        raise ImportError("channels on Redis need redis-py: pip install 'geventkws[redis]'") from error
    return lambda node: RedisBroker(node, url, prefix)


def _loop_of(connection: object) -> Loop:
    if not isinstance(connection, WebSocketConnection):
        raise TypeError(f"a WebSocketConnection subscribes, not {connection!r}")
    return connection._channel.loop


def _call_in(loop: Loop, function: Callable[[], Result]) -> Result:
    """Call ``function`` in the thread of a loop, and return what it returns."""
    if not loop.is_foreign_thread():
        return function()
    results: list[Result] = []
    loop.wait_for_call(lambda: results.append(function()))
    return results[0]
