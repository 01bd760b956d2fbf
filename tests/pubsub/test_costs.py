"""What is done once for many, and what is not done at all."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from geventkws.pubsub import PresenceEvent, Publication, PubSub
from geventkws.pubsub.redis.commands import Commands, Request
from geventkws.pubsub.redis.reader import Reader
from geventkws.pubsub.subscriber import Subscriber
from tests.pubsub.conftest import Connect, RedisServer
from tests.pubsub.test_faults import nodes
from tests.waiting import wait_until


def test_what_many_greenlets_publish_at_the_same_time_goes_to_redis_in_one_batch(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    exchange = Commands._exchange

    def noted(self: Commands, batch: list[Request]) -> None:
        sizes.append(len(batch))
        exchange(self, batch)

    with nodes(redis_server.url) as [pubsub]:
        pubsub.publish("news", "the first connects")
        monkeypatch.setattr(Commands, "_exchange", noted)
        gevent.joinall([gevent.spawn(pubsub.publish, "news", "now") for _ in range(20)], raise_error=True)
    assert sizes == [20]


def test_a_process_takes_nothing_of_channels_that_nobody_there_has_subscribed_to(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    receive = Reader._receive

    def noted(self: Reader, name: str, data: bytes) -> None:
        taken.append(name)
        receive(self, name, data)

    monkeypatch.setattr(Reader, "_receive", noted)
    heard: list[Publication] = []
    with nodes(redis_server.url, redis_server.url) as [here, there]:
        here.listen("costs:ours", heard.append)
        for channel in ("costs:theirs", "costs:ours"):
            there.publish(channel, channel)
        wait_until(lambda: heard)
    assert [name.rpartition(":bus:")[2] for name in taken if ":bus:" in name] == ["costs:ours"]


def test_who_joins_and_leaves_concerns_only_those_who_want_to_know(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, Any]] = []

    def noted(subscriber: Subscriber, event: PresenceEvent, encoded: object) -> None:
        told.append((subscriber._connection, event.info))

    monkeypatch.setattr(Subscriber, "take_event", noted)
    pubsub = PubSub()
    pubsub.configure("seen:*", presence=True)
    ann, ben = client().connection, client().connection
    pubsub.subscribe(ben, "seen:room", "Ben")
    pubsub.subscribe(ann, "seen:room", "Ann", announce=lambda event: "told")
    pubsub.subscribe(ben, "seen:room", "Benjamin")
    pubsub.unsubscribe(ben, "seen:room")
    pubsub.subscribe(ann, "seen:room", "Ann", announce=None)
    pubsub.subscribe(ben, "seen:room", "Ben")
    assert told == [(ann, "Ann"), (ann, "Benjamin")]
