"""Clients of one service whose channels are on Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from geventkws.centrifuge import Namespace
from geventkws.pubsub import PubSub
from tests.centrifuge.conftest import Enter
from tests.centrifuge.peers import Open
from tests.pubsub.conftest import RedisServer, own_redis
from tests.waiting import wait_until

__all__ = ["own_redis"]

NAMESPACE = Namespace(
    history_size=100, recover=True, may_subscribe="everyone", presence=True, join_leave=True
)


@pytest.fixture
def pubsub(own_redis: RedisServer) -> Iterator[PubSub]:
    pubsub = PubSub(own_redis.url)
    yield pubsub
    pubsub.close()


def test_what_the_bus_has_lost_is_found_by_a_check(
    own_redis: RedisServer, pubsub: PubSub, enter: Enter
) -> None:
    peer = enter(Open(pubsub, namespaces={"": NAMESPACE}))
    result = peer.ask("subscribe", channel="log")
    assert peer.push()["join"]["info"]["user"] == "ann"
    pubsub.publish("log", "1")
    assert peer.push()["pub"] == {"data": 1, "offset": 1}
    # One that is in the history, but was not sent to those who listen.
    own_redis.ask("XADD", "geventkws:stream:log", "2-0", "d", "T \n2")
    own_redis.ask("HSET", "geventkws:meta:log", "offset", 2)
    pubsub._check("log")
    assert peer.push()["pub"] == {"data": 2, "offset": 2}
    pubsub.publish("log", json.dumps({"n": 3}))
    assert peer.push()["pub"] == {"data": {"n": 3}, "offset": 3}
    peer.ask("unsubscribe", channel="log")
    wait_until(lambda: not pubsub.presence("log"))
    again = peer.ask("subscribe", channel="log", recover=True, epoch=result["epoch"], offset=1)
    assert [one["offset"] for one in again["publications"]] == [2, 3]
