"""Several nodes: each has connections of its own, and they share their channels."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing

import gevent
import pytest

from geventkws import ConnectionClosed
from geventkws.pubsub import PubSub
from geventkws.pubsub.redis.commands import Commands
from tests.pubsub.conftest import Connect, RedisServer, configured
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def nodes(redis_server: RedisServer) -> Iterator[list[PubSub]]:
    prefix = uuid.uuid4().hex
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(configured(PubSub(redis_server.url, prefix=prefix))))
            for _ in range(3)
        ]


def publish(node: PubSub, name: str) -> None:
    for number in range(50):
        node.publish("kept:news", f"{name} {number}")


def test_what_one_publishes_all_get_in_one_order(nodes: list[PubSub], client: Connect) -> None:
    clients = [client() for _ in nodes]
    for node, one in zip(nodes, clients, strict=True):
        node.subscribe(one.connection, "kept:news")
    publishing = [gevent.spawn(publish, node, name) for node, name in zip(nodes, "abc", strict=True)]
    gevent.joinall(publishing, timeout=PATIENCE, raise_error=True)
    received = [[one.receive() for _ in range(150)] for one in clients]
    assert received[0] == received[1] == received[2]
    for name in "abc":
        own = [message for message in received[0] if str(message).startswith(name)]
        assert own == [f"{name} {number}" for number in range(50)]


def test_who_comes_back_to_another_node_gets_what_was_missed(nodes: list[PubSub], client: Connect) -> None:
    since = nodes[0].publish("kept:news", "seen")
    nodes[1].publish("kept:news", "missed")
    ann = client()
    assert nodes[2].subscribe(ann.connection, "kept:news", since=since).recovered
    nodes[0].publish("kept:news", "live", exclude=client().connection)
    assert [ann.receive() for _ in range(2)] == ["missed", "live"]


def test_all_nodes_see_who_is_there(nodes: list[PubSub], client: Connect) -> None:
    clients = [client() for _ in nodes]
    for node, one in zip(nodes, clients, strict=True):
        node.subscribe(one.connection, "seen:room", node is nodes[0])
    there = {one.connection.id: one is clients[0] for one in clients}
    assert [node.presence("seen:room") for node in nodes] == [there] * 3
    assert nodes[1].channels() == {"seen:room": 3}


def test_a_user_is_disconnected_on_all_nodes(nodes: list[PubSub], client: Connect) -> None:
    clients = [client() for _ in nodes]
    for node, one in zip(nodes, clients, strict=True):
        node.identify(one.connection, "ann")
    wait_until(lambda: not any(node.is_deaf for node in nodes))
    nodes[0].subscribe(clients[0].connection, "news")
    nodes[1].unsubscribe("ann", "news")
    wait_until(lambda: nodes[2].channels() == {})
    nodes[1].disconnect("ann", 4001)
    for one in clients:
        with pytest.raises(ConnectionClosed, match="4001"):
            one.receive()


def test_what_many_greenlets_publish_leaves_together(
    nodes: list[PubSub], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    exchange = Commands._exchange

    def counted(commands: Commands, batch: list[object]) -> None:
        batches.append(len(batch))
        exchange(commands, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Commands, "_exchange", counted)
    publishing = [gevent.spawn(nodes[0].publish, "kept:news", str(number)) for number in range(1000)]
    gevent.joinall(publishing, timeout=PATIENCE, raise_error=True)
    assert sum(batches) == 1000
    assert len(batches) < 200


def test_a_publisher_that_is_killed_holds_up_nobody(nodes: list[PubSub]) -> None:
    publishing = [gevent.spawn(nodes[0].publish, "kept:news", str(number)) for number in range(3)]
    gevent.sleep(0)
    publishing[0].kill()
    gevent.joinall(publishing, timeout=PATIENCE)
    assert all(one.ready() for one in publishing)
    position = nodes[0].publish("kept:news", "after")
    assert position is not None
