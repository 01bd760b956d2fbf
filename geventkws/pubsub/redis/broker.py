"""The broker of many processes and machines: Redis, or Valkey."""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import gevent
from gevent import Greenlet, monkey

from geventkws.loop.loop import Loop, allocate_lock
from geventkws.pubsub.broker import Command, Excluded, Node, Stream
from geventkws.pubsub.redis.commands import Commands, Words
from geventkws.pubsub.redis.control import CHANNEL, Control
from geventkws.pubsub.redis.envelope import body_of, from_bus, position_from, publication_from
from geventkws.pubsub.redis.feed import Feed
from geventkws.pubsub.redis.lease import Lease, nodes
from geventkws.pubsub.redis.link import LOST, Address, Backoff, address_of
from geventkws.pubsub.redis.members import Members, present
from geventkws.pubsub.redis.reader import Reader
from geventkws.pubsub.redis.scripts import HISTORY, PUBLISH, Script
from geventkws.pubsub.settings import NOTHING, Settings
from geventkws.pubsub.values import (
    BrokerRefused,
    BrokerUnavailable,
    Message,
    NodeInfo,
    Position,
    PresenceEvent,
)

logger = logging.getLogger("geventkws.pubsub")

KEY_TTL = 300
"""Seconds for which the key of a publication is remembered."""

OWN_KEY_TTL = 30
"""Seconds for which our own keys are remembered: longer than ``Commands`` repeats anything."""

OPEN_TIMEOUT = 10.0
"""Seconds within which Redis must acknowledge a subscription."""

REFUSAL_PATIENCE = 10.0
"""Seconds for which a history is asked for again that Redis refuses: it may have memory again by then."""

PAGE = 100
"""How many missing publications are taken from a history at a time."""

MAX_CHECKERS = 100
"""How many feeds are checked at the same time."""

BEGINNING = Position(0, "")
"""The position of who wants to know what comes from now on."""

Result = TypeVar("Result")


def new_epoch() -> str:
    """Return the name of an epoch for one attempt: the next may find that Redis has lost the one before."""
    return uuid.uuid4().hex[:8]


NativeLocal: Any = monkey.get_original("_thread", "_local")


class Ears:
    """What a process needs to hear what is published: in the thread that was first to subscribe."""

    def __init__(self, broker: RedisBroker, address: Address, prefix: str, control: Control) -> None:
        if not monkey.is_module_patched("socket"):
            raise RuntimeError(
                "to subscribe over Redis, the standard library must be patched: begin the program with"
                " from gevent import monkey; monkey.patch_all()"
            )
        self.loop = Loop.current()
        self.feeds: dict[str, Feed] = {}
        self.reader = Reader(address, prefix, broker.subscribed, broker.received, broker.probe)
        self.lease = broker.make_lease(lambda: self.members.renew_soon())
        self.members = Members(broker.call_on, self.lease.own_key)
        self._to_check: deque[Feed] = deque()
        self._checkers: set[Greenlet[..., None]] = set()
        self._history = broker.history_since
        self.commands = self.feeds[CHANNEL] = Feed(CHANNEL, control, self.check)
        self._attending = gevent.spawn(self._attend, f"{prefix}:bus:{CHANNEL}")

    @property
    def are_deaf(self) -> bool:
        """Whether messages or commands do not come in now."""
        return self.reader.is_deaf or not self.commands.acknowledged.is_set()

    def _attend(self, name: str) -> None:
        """Take all commands from now on: find out which was the last one, and then subscribe."""
        while self.commands.position is None:
            try:
                self.commands.position = self._history(CHANNEL, BEGINNING).top
            except BrokerRefused as error:
                logger.error("commands about users do not arrive: %s", error)
        self.reader.add(name)

    def stop(self) -> None:
        self.lease.stop(say_goodbye=not self.reader.is_deaf)
        self._attending.kill()
        self.reader.stop()
        self.members.stop()
        gevent.killall(list(self._checkers))

    def forsake(self) -> None:
        """Do nothing any more, in a process that has just been forked: all that is the parent's."""
        for part in (self.lease, self.reader, self.members):
            part.forsake()
        gevent.killall([self._attending, *self._checkers], block=False)

    def check(self, feed: Feed) -> None:
        """Let a feed be checked. Never waits."""
        self._to_check.append(feed)
        if len(self._checkers) < MAX_CHECKERS:
            checker = Greenlet.spawn(self._check_feeds)
            self._checkers.add(checker)
            checker.rawlink(self._checkers.discard)

    def _check_feeds(self) -> None:
        while self._to_check:
            feed = self._to_check.popleft()
            feed.check(partial(self._history, feed.channel))


class RedisBroker:
    """A ``Broker`` on Redis. Nothing is connected before it is needed."""

    def __init__(self, node: Node, url: str, prefix: str) -> None:
        self._node = node
        self._address = address_of(url)
        self._prefix = prefix
        self._ears: Ears | None = None
        self._begin()

    def _begin(self) -> None:
        """Begin as a node that nobody knows: connect to nothing before it is needed."""
        self._local = NativeLocal()
        self._lock = allocate_lock()
        self._node_id = uuid.uuid4().hex
        self._control = Control(self._node_id, self._run, self.publish, self._node, self._prefix)

    def begin_after_fork(self) -> None:
        ears, self._ears = self._ears, None
        if ears is not None:
            ears.forsake()
        self._begin()

    # What is asked of Redis, in any thread

    def publish(
        self, channel: str, message: Message, exclude: Excluded, key: str | None, settings: Settings
    ) -> Position | None:
        body, size = body_of(message, exclude), settings.history_size
        ttl = int(settings.history_ttl * 1000)
        # With a key of our own, a publication may be sent again when nobody knows what became of it.
        own_key, key_ttl = (uuid.uuid4().hex, OWN_KEY_TTL) if key is None else (key, KEY_TTL)
        keys = (
            self._bus(channel),
            *self._history_keys(channel),
            f"{self._prefix}:key:{channel}:{'own' if key is None else 'given'}:{own_key}",
        )
        answer: bytes = self._call(
            PUBLISH,
            keys,
            lambda run: (body, size, ttl, run, new_epoch() if size else "", key_ttl * 1000),
            len(body),
        )
        return position_from(*answer.split(b" "))

    def history(self, channel: str, since: Position | None, limit: int | None, settings: Settings) -> Stream:
        offset, epoch = since or (0, "")
        # With a position, 0 stands for no limit; without one, for nothing.
        count = limit or 0
        answer = self._call(
            HISTORY, self._history_keys(channel), lambda run: (run, new_epoch(), epoch, offset, count)
        )
        top = Position(int(answer[1]), answer[0].decode())
        publications = []
        for entry_id, (_, body) in answer[3]:
            position = Position(int(entry_id.partition(b"-")[0]), top.epoch)
            publications.append(publication_from(channel, body, position)[0])
        self._in_ears(lambda ears: self._note_position(ears, channel, top))
        return Stream(top, publications, bool(answer[2]))

    def remove_history(self, channel: str) -> None:
        self._run("DEL", self._history_keys(channel)[1])

    def _note_position(self, ears: Ears, channel: str, top: Position) -> None:
        """Begin to count a channel's publications, if it is the first time that we know where it stands."""
        feed = ears.feeds.get(channel)
        if feed is not None and feed.position is None:
            feed.position = top

    def history_since(self, channel: str, since: Position) -> Stream:
        """Return some of what was published after a position, however long Redis is away meanwhile.

        Raises ``BrokerRefused`` if Redis refuses it for ``REFUSAL_PATIENCE`` seconds.
        """
        backoff, refused_at = Backoff(), None
        while True:
            try:
                return self.history(channel, since, PAGE, NOTHING)
            except BrokerRefused:
                refused_at = monotonic() if refused_at is None else refused_at
                if monotonic() - refused_at > REFUSAL_PATIENCE:
                    raise
            except LOST:
                refused_at = None
            gevent.sleep(backoff.delay())

    def presence(self, channel: str) -> dict[str, Any]:
        return present(self.call_on, channel)

    def command(self, command: Command) -> None:
        self._control.command(command)

    def census(self, pattern: str) -> dict[str, int]:
        return self._control.census(pattern)

    def nodes(self) -> list[NodeInfo]:
        return nodes(self._call, self._prefix)

    def make_lease(self, renew_members: Callable[[], object]) -> Lease:
        """Return a lease for this node, which lasts until it is stopped."""
        return Lease(self._call, self._prefix, self._node_id, self._node.describe, renew_members)

    def call_on(self, script: Script, channel: str, arguments: tuple[str, ...], *more_keys: str) -> Any:
        """Run one of the scripts about who is on a channel."""
        keys = (
            f"{self._prefix}:in:{channel}",
            f"{self._prefix}:until:{channel}",
            self._bus(channel),
            *more_keys,
        )
        return self._call(script, keys, lambda run: arguments)

    def probe(self, inbox: str, message: str) -> None:
        """Publish a message to ourselves."""
        self._run("PUBLISH", inbox, message)

    def _run(self, *words: str | int) -> Any:
        return self._ask(lambda commands: commands.run(lambda run: words))

    def _call(
        self, script: Script, keys: Sequence[str], arguments: Callable[[str], Words], size: int = 0
    ) -> Any:
        return self._ask(lambda commands: commands.call(script, keys, arguments, size))

    def _ask(self, function: Callable[[Commands], Result]) -> Result:
        """Use the connection of the thread that subscribes; if there is none, that of this thread."""
        ears = self._ears
        if ears is None or not ears.loop.is_foreign_thread():
            return function(self._commands)
        results: list[Result] = []
        ears.loop.wait_for_call(lambda: results.append(function(self._commands)))
        return results[0]

    @property
    def _commands(self) -> Commands:
        """The connection of the calling thread."""
        commands: Commands | None = getattr(self._local, "commands", None)
        if commands is None:
            commands = self._local.commands = Commands(self._address)
        return commands

    def _bus(self, channel: str) -> str:
        return f"{self._prefix}:bus:{channel}"

    def _history_keys(self, channel: str) -> tuple[str, str]:
        return f"{self._prefix}:meta:{channel}", f"{self._prefix}:stream:{channel}"

    # What Redis is to tell this process

    @property
    def is_deaf(self) -> bool:
        return self._ears is not None and self._ears.are_deaf

    def start(self) -> None:
        """Begin to listen to the other nodes. Never waits."""
        with self._lock:
            if self._ears is None:
                self._ears = Ears(self, self._address, self._prefix, self._control)

    def stop(self) -> None:
        ears, self._ears = self._ears, None
        if ears is not None:
            ears.stop()
        self._commands.close()

    def _in_ears(self, function: Callable[[Ears], object]) -> None:
        """Call a function, which must not wait, in the thread of the ears, if there are any."""
        ears = self._ears
        if ears is not None:
            if ears.loop.is_foreign_thread():
                ears.loop.call_from_thread(function, ears)
            else:
                function(ears)

    def open(self, channel: str) -> None:
        self.start()
        assert self._ears is not None
        ears = self._ears
        if ears.loop.is_foreign_thread():
            ears.loop.wait_for_call(self._open, ears, channel)
        else:
            self._open(ears, channel)

    def _open(self, ears: Ears, channel: str) -> None:
        feed = ears.feeds.get(channel)
        if feed is None:
            feed = ears.feeds[channel] = Feed(channel, self._node, ears.check)
            ears.reader.add(self._bus(channel))
        awaited = [event for event in (feed.acknowledged, ears.commands.acknowledged) if not event.is_set()]
        if len(gevent.wait(awaited, OPEN_TIMEOUT)) < len(awaited):
            raise BrokerUnavailable(f"Redis has not acknowledged the subscription to {channel!r}")

    def close(self, channel: str) -> None:
        self._in_ears(lambda ears: self._close(ears, channel))

    def _close(self, ears: Ears, channel: str) -> None:
        # In the time that the news took, somebody may have come.
        if self._node.wants(channel):
            return
        feed = ears.feeds.pop(channel, None)
        if feed is not None:
            ears.reader.remove(self._bus(channel))
            feed.close()

    def check(self, channel: str) -> None:
        self._in_ears(lambda ears: self._check(ears, channel))

    def _check(self, ears: Ears, channel: str) -> None:
        feed = ears.feeds.get(channel)
        if feed is not None and feed.position is not None and feed.acknowledged.is_set():
            feed.begin_check()

    def join(self, channel: str, member: str, info: Any) -> None:
        ears = self._ears
        if ears is None:
            raise BrokerUnavailable("this node has been closed")
        if ears.loop.is_foreign_thread():
            ears.loop.wait_for_call(ears.members.join, channel, member, info)
        else:
            ears.members.join(channel, member, info)

    def leave(self, channel: str, member: str) -> None:
        self._in_ears(lambda ears: ears.members.leave(channel, member))

    # What Redis tells

    def subscribed(self, name: str) -> None:
        """Pass on that the messages of a channel come from now on."""
        feed = self._feed(name)
        if feed is not None:
            feed.subscribed()

    def received(self, name: str, data: bytes) -> None:
        """Take a message."""
        feed = self._feed(name)
        if feed is None:
            return  # not any more
        said = from_bus(feed.channel, data)
        if isinstance(said, PresenceEvent):
            self._node.presence_changed(said)
        else:
            feed.take(*said)
        self._node.flush()

    def _feed(self, name: str) -> Feed | None:
        ears = self._ears
        if ears is None:
            return None  # we say goodbye, and Redis has not heard it yet
        return ears.feeds.get(name.removeprefix(self._bus("")))
