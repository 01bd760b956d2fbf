"""Channels of clients: what was missed and what comes, who is there, and what was published."""

from __future__ import annotations

import json
from typing import Any

import pytest

from geventkws.centrifuge import Namespace, disconnect_user, subscribe_user, unsubscribe_user
from geventkws.centrifuge.subscribing import REPLY_SIZE
from geventkws.pubsub import Position, Publication, PubSub
from tests.centrifuge.conftest import Enter
from tests.centrifuge.peers import Open, Peer
from tests.waiting import wait_until

ALLOWED: dict[str, Any] = {"may_subscribe": "everyone", "may_publish": "everyone"}
RECOVERED: dict[str, Any] = {**ALLOWED, "history_size": 500, "recover": True, "may_read_history": "everyone"}
NAMESPACES = {
    "": Namespace(**ALLOWED),
    "log": Namespace(**RECOVERED),
    "room": Namespace(**ALLOWED, presence=True, join_leave=True, may_see_presence="subscribers"),
}


class Fixture:
    """A service and its channels."""

    def __init__(self) -> None:
        self.pubsub = PubSub()
        self.service = Open(self.pubsub, namespaces=NAMESPACES, recovery_limit=300)

    def publish(self, *numbers: int, channel: str = "log:x") -> None:
        for number in numbers:
            self.pubsub.publish(channel, json.dumps(number))


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def numbers(publications: list[dict[str, Any]]) -> list[Any]:
    return [publication["data"] for publication in publications]


def test_a_publication_reaches_clients_as_it_is(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    assert peer.ask("subscribe", channel="news") == {}
    fixture.pubsub.publish("news", '{"a": [1,\n2]}')
    assert peer.push() == {"channel": "news", "pub": {"data": {"a": [1, 2]}}}
    peer.ask("unsubscribe", channel="news")
    fixture.pubsub.publish("news", "1")
    assert peer.ask("ping") == {}


def test_a_client_that_returns_gets_what_it_has_missed(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    fixture.publish(1)
    first = peer.ask("subscribe", channel="log:x")
    assert (first["recoverable"], first["positioned"], first["offset"]) == (True, True, 1)
    peer.ask("unsubscribe", channel="log:x")
    fixture.publish(2, 3)
    request = {"channel": "log:x", "recover": True, "epoch": first["epoch"], "offset": 1}
    result = peer.ask("subscribe", **request)
    assert (result["recovered"], result["was_recovering"], result["offset"]) == (True, True, 3)
    assert result["publications"] == [{"data": 2, "offset": 2}, {"data": 3, "offset": 3}]
    fixture.publish(4)
    assert peer.push() == {"channel": "log:x", "pub": {"data": 4, "offset": 4}}


@pytest.mark.parametrize(("epoch", "offset"), [("other", 1), ("", 1), (None, 99)])
def test_what_cannot_be_recovered_is_not_recovered_in_part(
    fixture: Fixture, enter: Enter, epoch: str | None, offset: int
) -> None:
    peer = enter(fixture.service)
    fixture.publish(1, 2)
    epoch = peer.ask("history", channel="log:x")["epoch"] if epoch is None else epoch
    request = {"channel": "log:x", "recover": True, "epoch": epoch, "offset": offset}
    assert peer.fail("subscribe", flag=2, **request) == 112
    result = peer.ask("subscribe", **request)
    assert "recovered" not in result
    assert "publications" not in result
    assert (result["was_recovering"], result["offset"]) == (True, 2)


def test_a_client_that_has_nothing_yet_gets_all_that_there_ever_was(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    fixture.publish(1, 2)
    result = peer.ask("subscribe", channel="log:x", recover=True)
    assert (result["recovered"], numbers(result["publications"])) == (True, [1, 2])
    peer.ask("unsubscribe", channel="log:x")
    fixture.publish(*range(600))  # of which 500 are kept
    assert "recovered" not in peer.ask("subscribe", channel="log:x", recover=True)


def test_a_client_that_has_missed_too_much_is_told(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    epoch = peer.ask("history", channel="log:x")["epoch"]
    fixture.publish(*range(301))
    request = {"channel": "log:x", "recover": True, "epoch": epoch}
    assert "recovered" not in peer.ask("subscribe", **request)
    peer.ask("unsubscribe", channel="log:x")
    assert peer.ask("subscribe", offset=1, **request)["recovered"]


def test_what_is_too_large_for_a_reply_follows_it(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    epoch = peer.ask("history", channel="log:x")["epoch"]
    size = REPLY_SIZE // 3
    for _ in range(7):
        fixture.pubsub.publish("log:x", json.dumps("x" * size))
    result = peer.ask("subscribe", channel="log:x", recover=True, epoch=epoch)
    assert [one["offset"] for one in result["publications"]] == [1, 2]
    assert (result["offset"], result["recovered"]) == (2, True)
    assert [peer.push()["pub"]["offset"] for _ in range(5)] == [3, 4, 5, 6, 7]


def test_a_client_whose_publications_are_lost_subscribes_again(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    peer.ask("subscribe", channel="log:x")
    fixture.pubsub._node.lost("log:x")
    fixture.pubsub._node.flush()
    assert peer.push() == {"channel": "log:x", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}
    peer.ask("subscribe", channel="log:x")


def test_what_comes_by_the_bus_after_it_was_read_in_the_history_is_not_sent_twice(
    fixture: Fixture, enter: Enter
) -> None:
    peer = enter(fixture.service)
    fixture.publish(1, 2)
    epoch = peer.ask("subscribe", channel="log:x")["epoch"]
    for offset in (1, 2):
        late = Publication(json.dumps("again"), "log:x", Position(offset, epoch))
        fixture.pubsub._node.published(late, frozenset())
    fixture.publish(3)
    assert peer.push()["pub"] == {"data": 3, "offset": 3}


@pytest.mark.logs_errors
def test_what_is_not_json_ends_clients_that_speak_it(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    peer.ask("subscribe", channel="news")
    fixture.pubsub.publish("news", b"\xff")
    assert peer.end() == (3506, "inappropriate protocol")


# What was published


def test_a_client_reads_what_was_published(fixture: Fixture, enter: Enter) -> None:
    peer = enter(fixture.service)
    fixture.publish(*range(1, 6))
    assert peer.ask("history", channel="log:x")["publications"] == []
    everything = peer.ask("history", channel="log:x", limit=-1)
    assert (everything["offset"], numbers(everything["publications"])) == (5, [1, 2, 3, 4, 5])

    def read(**request: Any) -> list[Any]:
        return numbers(peer.ask("history", channel="log:x", **request).get("publications", []))

    since = {"epoch": everything["epoch"], "offset": 3}
    assert read(limit=2) == [1, 2]
    assert read(limit=2, reverse=True) == [5, 4]
    assert read(limit=-1, since=since) == [4, 5]
    assert read(limit=1, since=since) == [4]
    assert read(limit=1, since=since, reverse=True) == [2]
    assert peer.fail("history", channel="log:x", limit=1, since={"epoch": "other", "offset": 1}) == 112
    assert peer.fail("history", channel="log:x", limit=1, since={"epoch": "other"}, reverse=True) == 112


# Who is there


def test_clients_are_told_who_comes_and_goes(fixture: Fixture, enter: Enter) -> None:
    ann, bob = enter(fixture.service, info=1), enter(fixture.service, user="bob")
    ann.ask("subscribe", channel="room:x")
    ann_info = {"user": "ann", "client": ann.socket.connection.id, "conn_info": 1}
    bob_info = {"user": "bob", "client": bob.socket.connection.id}
    assert ann.push() == {"channel": "room:x", "join": {"info": ann_info}}
    assert bob.fail("presence", channel="room:x") == 103
    bob.ask("subscribe", channel="room:x")
    assert ann.push() == {"channel": "room:x", "join": {"info": bob_info}}
    assert bob.push() == {"channel": "room:x", "join": {"info": bob_info}}
    assert bob.ask("presence", channel="room:x")["presence"] == {
        ann_info["client"]: ann_info,
        bob_info["client"]: bob_info,
    }
    assert bob.ask("presence_stats", channel="room:x") == {"num_clients": 2, "num_users": 2}
    assert bob.fail("presence_stats", channel="room:y") == 103
    bob.socket.close()
    assert ann.push() == {"channel": "room:x", "leave": {"info": bob_info}}


# What the server does


def test_the_server_subscribes_clients_when_they_connect(fixture: Fixture) -> None:
    fixture.publish(1, 2)
    with Peer(fixture.service) as peer:
        subs = peer.ask("connect", data={"channels": ["news", "log:x"]})["subs"]
        assert subs["news"] == {}
        assert subs["log:x"]["offset"] == 2
        fixture.publish(3)
        assert peer.push()["pub"]["data"] == 3
    fixture.publish(4)
    with Peer(fixture.service) as peer:
        position = {"recover": True, "epoch": subs["log:x"]["epoch"], "offset": 3}
        subs = peer.ask("connect", data={"channels": ["log:x"]}, subs={"log:x": position})["subs"]
        assert numbers(subs["log:x"]["publications"]) == [4]


def test_all_clients_of_a_user_are_subscribed_unsubscribed_and_disconnected(
    fixture: Fixture, enter: Enter
) -> None:
    first, second, other = enter(fixture.service), enter(fixture.service), enter(fixture.service, user="bob")
    subscribe_user(fixture.pubsub, "ann", "log:x")
    for peer in (first, second):
        said = peer.push()
        assert (said["channel"], said["subscribe"]["recoverable"]) == ("log:x", True)
    wait_until(lambda: fixture.pubsub.channels().get("log:x") == 2)
    fixture.publish(1)
    assert first.push()["pub"]["data"] == second.push()["pub"]["data"] == 1
    unsubscribe_user(fixture.pubsub, "ann", "log:x", client=first.socket.connection.id)
    assert first.push() == {"channel": "log:x", "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}
    disconnect_user(fixture.pubsub, "ann")
    assert first.end() == second.end() == (3503, "force disconnect")
    assert other.ask("ping") == {}
