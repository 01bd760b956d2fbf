"""Several nodes: each has connections of its own, and they share their channels."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws import ConnectionClosed
from geventkws.pubsub import BrokerUnavailable, PubSub
from geventkws.pubsub.redis import lease
from geventkws.pubsub.redis.commands import Commands
from geventkws.pubsub.redis.lease import Lease
from geventkws.pubsub.redis.link import Backoff
from geventkws.pubsub.redis.reader import Reader
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
    assert sum(batches) >= 1000  # and what nodes say of themselves
    assert len(batches) < 200


def test_large_messages_leave_one_by_one(
    nodes: list[PubSub], client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    exchange = Commands._exchange

    def counted(commands: Commands, batch: list[Any]) -> None:
        batches.append(sum(request.size for request in batch))
        exchange(commands, batch)

    ann = client(max_send_buffer=2**30)
    nodes[0].subscribe(ann.connection, "news")
    monkeypatch.setattr(Commands, "_exchange", counted)
    publishing = [gevent.spawn(nodes[1].publish, "news", bytes(600_000)) for _ in range(10)]
    gevent.joinall(publishing, timeout=PATIENCE, raise_error=True)
    assert [len(ann.receive()) for _ in range(10)] == [600_000] * 10
    assert max(batches) < 2 * 600_000


def test_a_publisher_that_is_killed_holds_up_nobody(nodes: list[PubSub]) -> None:
    publishing = [gevent.spawn(nodes[0].publish, "kept:news", str(number)) for number in range(3)]
    gevent.sleep(0)
    publishing[0].kill()
    gevent.joinall(publishing, timeout=PATIENCE)
    assert all(one.ready() for one in publishing)
    position = nodes[0].publish("kept:news", "after")
    assert position is not None


class TestCommands:
    """A node gets each command of others once, and passes none on."""

    def test_a_command_is_published_once_however_many_hear_it(
        self, nodes: list[PubSub], client: Connect, redis_server: RedisServer
    ) -> None:
        done: list[Any] = []
        for node in nodes:
            node.on_command("note", lambda connection, number: done.append(number))
            node.identify(client().connection, "ann")
        wait_until(lambda: not any(node.is_deaf for node in nodes))
        for number in range(30):
            nodes[number % 3].command("ann", "note", number)
        wait_until(lambda: len(done) == 3 * 30)
        assert sorted(done) == sorted(3 * [*range(30)])
        stream = redis_server.ask("XLEN", f"{nodes[0]._broker._prefix}:stream:")  # type: ignore[attr-defined]
        assert stream == 30

    def test_a_node_that_was_cut_off_makes_up_for_what_it_has_missed(
        self, nodes: list[PubSub], client: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ann = client()
        nodes[0].identify(ann.connection, "ann")
        wait_until(lambda: not nodes[0].is_deaf)
        is_told = Event()
        monkeypatch.setattr(Backoff, "delay", lambda backoff: float(not is_told.wait(PATIENCE)))
        nodes[0]._broker._ears.reader._link.disconnect()  # type: ignore[attr-defined]
        wait_until(lambda: nodes[0].is_deaf)
        nodes[1].disconnect("ann", 4001)
        is_told.set()
        with pytest.raises(ConnectionClosed, match="4001"):
            ann.receive()

    def test_commands_that_are_lost_are_logged(
        self,
        nodes: list[PubSub],
        client: Connect,
        redis_server: RedisServer,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        nodes[0].identify(client().connection, "ann")
        wait_until(lambda: not nodes[0].is_deaf)
        prefix = nodes[0]._broker._prefix  # type: ignore[attr-defined]
        nodes[1].disconnect("ben")
        redis_server.ask("DEL", f"{prefix}:meta:")
        nodes[1].disconnect("ben")
        wait_until(lambda: "commands about users have been lost" in caplog.text)

    def test_a_command_that_nobody_knows_does_nothing(self, nodes: list[PubSub], client: Connect) -> None:
        ann = client()
        nodes[0].identify(ann.connection, "ann")
        wait_until(lambda: not nodes[0].is_deaf)
        nodes[1].on_command("rename", print)
        nodes[1].command("ann", "rename")
        nodes[1].disconnect("ann", 4001)
        with pytest.raises(ConnectionClosed, match="4001"):
            ann.receive()


class TestLeases:
    """Whether a node is there."""

    def test_all_see_the_nodes_that_listen(self, nodes: list[PubSub], client: Connect) -> None:
        for node in nodes[:2]:
            node.subscribe(client().connection, "news")
        wait_until(lambda: len(nodes[2].nodes()) == 2)
        assert len({node.id for node in nodes[2].nodes()}) == 2
        nodes[0].close()
        assert len(nodes[2].nodes()) == 1

    def test_members_of_a_node_that_is_closed_leave(self, nodes: list[PubSub], client: Connect) -> None:
        ann, ben = client(), client()
        nodes[0].subscribe(ann.connection, "seen:room", "Ann", announce=lambda event: f"{event}")
        nodes[1].subscribe(ben.connection, "seen:room", "Ben")
        assert "joined=True" in str(ann.receive())
        nodes[1].close()
        assert "joined=False" in str(ann.receive())
        assert nodes[0].presence("seen:room") == {ann.connection.id: "Ann"}

    def test_what_arrives_while_a_node_says_goodbye_is_no_error(
        self,
        nodes: list[PubSub],
        client: Connect,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        nodes[0].subscribe(client().connection, "seen:room", "Ann")
        wait_until(lambda: not nodes[0].is_deaf)
        arrived: list[str] = []
        receive, say_goodbye = Reader._receive, Lease._say_goodbye

        def received(reader: Reader, name: str, data: bytes) -> None:
            receive(reader, name, data)
            if name.endswith(":seen:room"):
                arrived.append(name)

        def slowly(own: Lease) -> None:
            arrived.clear()
            nodes[1].publish("seen:room", "late")
            wait_until(lambda: arrived)
            say_goodbye(own)

        monkeypatch.setattr(lease, "GOODBYE_TIMEOUT", PATIENCE)
        monkeypatch.setattr(Reader, "_receive", received)
        monkeypatch.setattr(Lease, "_say_goodbye", slowly)
        nodes[0].close()
        assert arrived
        assert not caplog.records

    def test_nobody_joins_a_node_that_is_closed_meanwhile(
        self, nodes: list[PubSub], client: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(nodes[0]._broker, "open", lambda channel: nodes[0].close())
        with pytest.raises(BrokerUnavailable, match="has been closed"):
            nodes[0].subscribe(client().connection, "seen:room", "Ann")

    def test_a_node_that_redis_has_forgotten_tells_its_members_again(
        self, nodes: list[PubSub], client: Connect, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "INTERVAL", 0.05)
        ann = client()
        nodes[0].subscribe(ann.connection, "seen:room", "Ann")
        wait_until(lambda: nodes[0].nodes())
        prefix = nodes[0]._broker._prefix  # type: ignore[attr-defined]
        # In one step: otherwise, the lease could be renewed in between.
        redis_server.ask("DEL", *(f"{prefix}:{name}" for name in ("leases", "nodes", "in:seen:room")))
        wait_until(lambda: nodes[1].presence("seen:room") == {ann.connection.id: "Ann"})

    def test_a_pause_of_redis_ends_no_lease(
        self, nodes: list[PubSub], client: Connect, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lease, "INTERVAL", 0.05)
        heard: list[str] = []
        ann, ben = client(), client()
        nodes[0].subscribe(
            ann.connection, "seen:room", "Ann", announce=lambda event: heard.append(f"{event}")
        )
        nodes[1].subscribe(ben.connection, "seen:room", "Ben")
        wait_until(lambda: len(nodes[0].nodes()) == 2)
        wait_until(lambda: len(heard) == 1)
        prefix = nodes[0]._broker._prefix  # type: ignore[attr-defined]
        # As if nobody had been heard of for a minute.
        redis_server.ask(
            "EVAL",
            "for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do"
            " redis.call('ZINCRBY', KEYS[1], -60, id) end"
            " redis.call('HINCRBYFLOAT', KEYS[2], 'last', -60)",
            2,
            f"{prefix}:leases",
            f"{prefix}:nodes",
        )
        wait_until(lambda: len(nodes[2].nodes()) == 2)
        assert set(nodes[2].presence("seen:room")) == {ann.connection.id, ben.connection.id}
        assert len(heard) == 1
