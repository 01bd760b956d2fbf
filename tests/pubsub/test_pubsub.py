"""Channels as services, views and scripts know them, on every broker."""

from __future__ import annotations

import os
import socket
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws import ConnectionClosed
from geventkws.pubsub import Position, PositionLost, PresenceEvent, Publication, PubSub, Subscription
from tests.pubsub.conftest import Connect, in_native_thread, start_new_thread
from tests.waiting import PATIENCE, wait_until

# Messages


@pytest.mark.parametrize("message", ["hé", b"\x00\xff", "", "x" * 70_000])
def test_subscribers_get_what_is_published(pubsub: PubSub, client: Connect, message: str | bytes) -> None:
    ann, ben, eve = client(), client(), client()
    for one in (ann, ben):
        assert pubsub.subscribe(one.connection, "news") == Subscription(False, None)
    pubsub.subscribe(eve.connection, "other news")
    assert pubsub.publish("news", message) is None
    assert ann.receive() == ben.receive() == message
    pubsub.publish("other news", "end")
    assert eve.receive() == "end"


@pytest.mark.parametrize("message", [bytearray(b"x"), memoryview(b"x")])
def test_other_bytes_arrive_as_bytes(pubsub: PubSub, client: Connect, message: bytearray) -> None:
    ann = client()
    pubsub.subscribe(ann.connection, "news")
    pubsub.publish("news", message)
    assert ann.receive() == b"x"


def test_messages_keep_their_order(pubsub: PubSub, client: Connect) -> None:
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    offsets = [pubsub.publish("kept:news", str(number)) for number in range(200)]
    assert [ann.receive() for _ in range(200)] == [str(number) for number in range(200)]
    assert [position and position.offset for position in offsets] == list(range(1, 201))


def test_all_see_the_messages_of_several_threads_in_one_order(pubsub: PubSub, client: Connect) -> None:
    clients = [client() for _ in range(3)]
    for one in clients:
        pubsub.subscribe(one.connection, "kept:news")
    finished: list[int] = []

    def publish(name: str) -> None:
        for number in range(50):
            pubsub.publish("kept:news", f"{name} {number}")
        finished.append(1)

    for name in "abc":
        start_new_thread(publish, (name,))
    publish("d")
    wait_until(lambda: len(finished) == 4)
    received = [[one.receive() for _ in range(200)] for one in clients]
    assert received[0] == received[1] == received[2]
    for name in "abcd":
        own = [message for message in received[0] if str(message).startswith(name)]
        assert own == [f"{name} {number}" for number in range(50)]
    kept = [publication.message for publication in pubsub.history("kept:news")]
    assert kept == received[0][-5:]


def test_some_are_excluded(pubsub: PubSub, client: Connect) -> None:
    ann, ben, eve = client(), client(), client()
    for one in (ann, ben, eve):
        pubsub.subscribe(one.connection, "news")
    pubsub.publish("news", "not for Ann", exclude=ann.connection)
    pubsub.publish("news", "only for Eve", exclude=[ann.connection, ben.connection])
    pubsub.publish("news", "for all")
    assert ann.receive() == "for all"
    assert [ben.receive() for _ in range(2)] == ["not for Ann", "for all"]
    assert [eve.receive() for _ in range(3)] == ["not for Ann", "only for Eve", "for all"]


def test_a_transform_is_called_once_for_all_who_share_it(pubsub: PubSub, client: Connect) -> None:
    calls: list[Publication] = []

    def shout(publication: Publication) -> str | None:
        calls.append(publication)
        return None if publication.message == "secret" else str(publication.message).upper()

    ann, ben, eve = client(), client(), client()
    for one in (ann, ben):
        pubsub.subscribe(one.connection, "news", transform=shout)
    pubsub.subscribe(eve.connection, "news")
    for message in ("secret", "hello"):
        pubsub.publish("news", message)
    assert ann.receive() == ben.receive() == "HELLO"
    assert [eve.receive() for _ in range(2)] == ["secret", "hello"]
    assert calls == [Publication("secret", "news", None), Publication("hello", "news", None)]


@pytest.mark.logs_errors
@pytest.mark.parametrize("result", [42, ZeroDivisionError()])
def test_a_transform_that_fails_ends_its_connection_with_1011(
    pubsub: PubSub, client: Connect, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(publication: Publication) -> str:
        if isinstance(result, Exception):
            raise result
        return result  # type: ignore[no-any-return]

    ann, ben = client(), client()
    pubsub.subscribe(ann.connection, "news", transform=fail)
    pubsub.subscribe(ben.connection, "news")
    pubsub.publish("news", "hello")
    assert ben.receive() == "hello"
    with pytest.raises(ConnectionClosed, match="1011"):
        ann.receive()
    assert "a message cannot be made" in caplog.text


def test_a_slow_reader_ends_with_1013_and_nobody_waits(pubsub: PubSub, client: Connect) -> None:
    slow, fast = client(max_send_buffer=1000), client()
    for one in (slow, fast):
        pubsub.subscribe(one.connection, "news")
    while slow.connection.active:
        pubsub.publish("news", b"x" * 100_000)
        assert fast.receive() == b"x" * 100_000
    assert pubsub.channels() == {"news": 1}
    with pytest.raises(ConnectionClosed, match="1013"):
        list(iter(slow.receive, None))


def test_publishing_needs_no_subscriber_and_may_come_from_a_native_thread(
    pubsub: PubSub, client: Connect
) -> None:
    assert pubsub.publish("nobody", "hello") is None
    ann = client()
    pubsub.subscribe(ann.connection, "news")
    in_native_thread(lambda: pubsub.publish("news", "from a thread"))
    assert ann.receive() == "from a thread"


def test_a_subscriber_may_publish(pubsub: PubSub, client: Connect) -> None:
    def answer(publication: Publication) -> str:
        if publication.message == "question":
            pubsub.publish("news", "answer")
        return str(publication.message)

    ann = client()
    pubsub.subscribe(ann.connection, "news", transform=answer)
    pubsub.publish("news", "question")
    assert [ann.receive() for _ in range(2)] == ["question", "answer"]


# The end of a subscription


def test_nothing_comes_after_unsubscribing(pubsub: PubSub, client: Connect) -> None:
    ann = client()
    for channel in ("news", "other"):
        pubsub.subscribe(ann.connection, channel)
    pubsub.unsubscribe(ann.connection, "news")
    pubsub.unsubscribe(ann.connection, "never")
    pubsub.publish("news", "hello")
    pubsub.publish("other", "end")
    assert ann.receive() == "end"
    assert pubsub.channels() == {"other": 1}


@pytest.mark.parametrize("end", ["close", "shutdown"])
def test_a_connection_that_ends_is_unsubscribed(pubsub: PubSub, client: Connect, end: str) -> None:
    ann, ben = client(), client()
    for one in (ann, ben):
        pubsub.subscribe(one.connection, "news")
        pubsub.subscribe(one.connection, "seen:room", info=one is ann)
    assert pubsub.channels() == {"news": 2, "seen:room": 2}
    getattr(ann, end)()
    wait_until(lambda: pubsub.channels() == {"news": 1, "seen:room": 1})
    wait_until(lambda: pubsub.presence("seen:room") == {ben.connection.id: False})


def test_a_connection_that_has_ended_is_not_subscribed(pubsub: PubSub, client: Connect) -> None:
    ann = client()
    ann.close()
    assert pubsub.subscribe(ann.connection, "news") == Subscription(False, None)
    pubsub.identify(ann.connection, "ann")
    assert pubsub.channels() == {}


def test_subscribing_again_replaces(pubsub: PubSub, client: Connect) -> None:
    ann = client()
    for prefix in ("old", "new"):
        pubsub.subscribe(ann.connection, "news", transform=(prefix + " {0.message}").format)
    pubsub.publish("news", "hello")
    assert ann.receive() == "new hello"
    assert pubsub.channels() == {"news": 1}


def test_threads_may_subscribe_and_unsubscribe(pubsub: PubSub, client: Connect) -> None:
    ann = client()
    in_native_thread(lambda: pubsub.subscribe(ann.connection, "news"))
    pubsub.publish("news", "hello")
    assert ann.receive() == "hello"
    in_native_thread(lambda: pubsub.unsubscribe(ann.connection, "news"))
    assert pubsub.channels() == {}


# History


def test_a_history_is_kept_where_it_is_configured(pubsub: PubSub) -> None:
    assert pubsub.history("news") == []
    assert pubsub.history("kept:news") == []
    positions = [pubsub.publish("kept:news", str(number)) for number in range(8)]
    pubsub.publish("news", "hello")
    assert pubsub.history("news") == []
    kept = pubsub.history("kept:news")
    assert kept == [Publication(str(n), "kept:news", positions[n]) for n in range(3, 8)]
    assert pubsub.history("kept:news", limit=2) == kept[-2:]
    assert pubsub.history("kept:news", positions[4], limit=2) == kept[2:4]
    assert pubsub.history("kept:news", positions[7]) == []


def test_a_position_that_is_too_old_or_of_another_history_is_lost(pubsub: PubSub) -> None:
    positions = [pubsub.publish("kept:news", str(number)) for number in range(8)]
    first, last = positions[0], positions[-1]
    assert first is not None
    assert last is not None
    for lost in (first, Position(last.offset, "other"), Position(last.offset + 1, last.epoch)):
        with pytest.raises(PositionLost, match="no longer has everything"):
            pubsub.history("kept:news", lost)


def test_the_history_expires_and_its_positions_are_lost(pubsub: PubSub) -> None:
    pubsub.configure("short:*", history_size=5, history_ttl=0.05)
    position = pubsub.publish("short:news", "first")
    pubsub.publish("short:news", "second")
    wait_until(lambda: not pubsub.history("short:news"))
    with pytest.raises(PositionLost):
        pubsub.history("short:news", position)


def test_a_history_is_removed_while_its_offsets_go_on(pubsub: PubSub, client: Connect) -> None:
    pubsub.remove_history("kept:nothing")
    first, last = (pubsub.publish("kept:news", message) for message in ("first", "last"))
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    pubsub.remove_history("kept:news")
    assert pubsub.history("kept:news") == []
    assert pubsub.history("kept:news", last) == []
    with pytest.raises(PositionLost):
        pubsub.history("kept:news", first)
    assert last is not None
    assert pubsub.publish("kept:news", "next") == (last.offset + 1, last.epoch)
    assert ann.receive() == "next"
    assert [publication.message for publication in pubsub.history("kept:news", last)] == ["next"]


def test_who_comes_back_gets_what_was_missed_and_then_goes_live(pubsub: PubSub, client: Connect) -> None:
    since = pubsub.publish("kept:news", "seen")
    for number in range(3):
        pubsub.publish("kept:news", f"missed {number}")
    ann = client()
    begun = pubsub.subscribe(ann.connection, "kept:news", since=since)
    assert begun.recovered
    assert begun.position is not None
    assert begun.position.offset == 4
    pubsub.publish("kept:news", "live")
    expected = ["missed 0", "missed 1", "missed 2", "live"]
    assert [ann.receive() for _ in range(4)] == expected


def test_what_is_missed_is_transformed_too(pubsub: PubSub, client: Connect) -> None:
    since = pubsub.publish("kept:news", "seen")
    for message in ("secret", "hello"):
        pubsub.publish("kept:news", message)
    ann = client()

    def numbered(publication: Publication) -> str | None:
        assert publication.position is not None
        return None if publication.message == "secret" else f"{publication.position.offset}"

    pubsub.subscribe(ann.connection, "kept:news", since=since, transform=numbered)
    assert ann.receive() == "3"


def test_nothing_is_sent_in_part_if_not_everything_is_there(pubsub: PubSub, client: Connect) -> None:
    since = pubsub.publish("kept:news", "seen")
    for number in range(6):
        pubsub.publish("kept:news", f"missed {number}")
    ann = client()
    begun = pubsub.subscribe(ann.connection, "kept:news", since=since)
    assert not begun.recovered
    assert begun.position is not None
    assert begun.position.offset == 7
    pubsub.publish("kept:news", "live")
    assert ann.receive() == "live"


def test_without_since_it_starts_with_what_comes(pubsub: PubSub, client: Connect) -> None:
    position = pubsub.publish("kept:news", "before")
    ann = client()
    assert pubsub.subscribe(ann.connection, "kept:news") == Subscription(False, position)
    pubsub.publish("kept:news", "after")
    assert ann.receive() == "after"


def test_what_is_published_during_the_recovery_comes_after_it(pubsub: PubSub, client: Connect) -> None:
    since = pubsub.publish("kept:news", b"seen")
    for number in range(3):
        pubsub.publish("kept:news", bytes([number]) * 300_000)
    # The history does not fit into the send buffer: subscribing waits for the reader.
    ann = client(max_send_buffer=100_000)
    subscribing = gevent.spawn(pubsub.subscribe, ann.connection, "kept:news", since=since)
    wait_until(lambda: ann.connection.traffic.messages_sent)
    pubsub.publish("kept:news", b"live", exclude=[])
    assert not subscribing.ready()
    assert [ann.receive()[:1] for _ in range(4)] == [b"\x00", b"\x01", b"\x02", b"l"]
    begun = subscribing.get(timeout=PATIENCE)
    assert begun.recovered
    assert begun.position in [publication.position for publication in pubsub.history("kept:news")[-2:]]


def test_it_goes_live_only_with_room_for_what_comes(pubsub: PubSub, client: Connect) -> None:
    since = pubsub.publish("kept:news", b"seen")
    pubsub.publish("kept:news", b"x" * 1_000_000)
    ann = client(max_send_buffer=100_000)
    subscribing = gevent.spawn(pubsub.subscribe, ann.connection, "kept:news", since=since)
    wait_until(lambda: ann.connection.traffic.messages_sent)
    pubsub.publish("kept:news", b"live")
    assert [len(ann.receive()) for _ in range(2)] == [1_000_000, 4]
    assert subscribing.get(timeout=PATIENCE).recovered


@pytest.mark.parametrize(("message", "times"), [(b"x" * 60_000, 2), (b"", 2000)], ids=["large", "many"])
def test_too_much_during_the_recovery_ends_it_with_1013(
    message: bytes, times: int, pubsub: PubSub, client: Connect
) -> None:
    since = pubsub.publish("kept:news", b"seen")
    for number in range(3):
        pubsub.publish("kept:news", bytes([number]) * 300_000)
    ann = client(max_send_buffer=100_000)
    subscribing = gevent.spawn(pubsub.subscribe, ann.connection, "kept:news", since=since)
    wait_until(lambda: ann.connection.traffic.messages_sent)
    for _ in range(times):
        pubsub.publish("kept:news", message)
    wait_until(lambda: not ann.connection.active)
    subscribing.get(timeout=PATIENCE)
    assert pubsub.channels() == {}


@pytest.mark.logs_errors
def test_a_transform_that_fails_on_what_was_missed_ends_the_connection(
    pubsub: PubSub, client: Connect
) -> None:
    since = pubsub.publish("kept:news", "seen")
    pubsub.publish("kept:news", "missed")
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news", since=since, transform=lambda publication: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ConnectionClosed, match="1011"):
        ann.receive()


@pytest.mark.parametrize("channel", ["news", "kept:news"])
def test_a_key_lets_a_publication_be_repeated(pubsub: PubSub, client: Connect, channel: str) -> None:
    ann = client()
    pubsub.subscribe(ann.connection, channel)
    first = pubsub.publish(channel, "hello", key="1")
    assert pubsub.publish(channel, "hello", key="1") == first
    pubsub.publish(channel, "hello again", key="2")
    pubsub.publish("another", "hello", key="1")
    assert [ann.receive() for _ in range(2)] == ["hello", "hello again"]


# Presence


def test_who_is_there_is_known_where_that_is_configured(pubsub: PubSub, client: Connect) -> None:
    ann, ben = client(), client()
    pubsub.subscribe(ann.connection, "seen:room", info={"name": "Ann"})
    pubsub.subscribe(ben.connection, "seen:room")
    pubsub.subscribe(ben.connection, "news", info="unseen")
    assert pubsub.presence("seen:room") == {ann.connection.id: {"name": "Ann"}, ben.connection.id: None}
    assert pubsub.presence("news") == {}
    pubsub.unsubscribe(ann.connection, "seen:room")
    wait_until(lambda: pubsub.presence("seen:room") == {ben.connection.id: None})


def test_others_are_told_who_joins_and_leaves(pubsub: PubSub, client: Connect) -> None:
    def tell(event: PresenceEvent) -> str | None:
        return f"{event.info} {'joined' if event.joined else 'left'} {event.channel}"

    ann, ben, eve = client(), client(), client()
    pubsub.subscribe(ann.connection, "seen:room", "Ann", announce=tell)
    pubsub.subscribe(eve.connection, "seen:room", "Eve")
    pubsub.subscribe(ben.connection, "seen:room", "Ben", announce=lambda event: None)
    pubsub.subscribe(ben.connection, "seen:room", "Benjamin")  # he was there before
    ben.close()
    expected = ["Eve joined seen:room", "Ben joined seen:room", "Benjamin left seen:room"]
    assert [ann.receive() for _ in range(3)] == expected
    pubsub.publish("seen:room", "end")
    assert eve.receive() == "end"


# Users


def test_a_user_is_disconnected_everywhere(pubsub: PubSub, client: Connect) -> None:
    ann, ann_too, ben = client(), client(), client()
    for one, user in ((ann, "ann"), (ann_too, "ben"), (ann_too, "ann"), (ben, "ben")):
        pubsub.identify(one.connection, user)
    pubsub.disconnect("nobody")
    in_native_thread(lambda: pubsub.disconnect("ann", 4001))
    for one in (ann, ann_too):
        with pytest.raises(ConnectionClosed, match="4001"):
            one.receive()
    pubsub.disconnect("ben")
    with pytest.raises(ConnectionClosed, match="1000"):
        ben.receive()


def test_a_user_is_unsubscribed_everywhere(pubsub: PubSub, client: Connect) -> None:
    ann, ben = client(), client()
    for one, user in ((ann, "ann"), (ben, "ben")):
        pubsub.identify(one.connection, user)
        pubsub.subscribe(one.connection, "news")
        pubsub.subscribe(one.connection, "other")
    pubsub.unsubscribe("ann", "news")
    wait_until(lambda: pubsub.channels() == {"news": 1, "other": 2})
    pubsub.publish("news", "hello")
    pubsub.publish("other", "end")
    assert ann.receive() == "end"
    assert ben.receive() == "hello"


@pytest.mark.logs_errors
def test_a_command_reaches_the_connections_of_a_user(
    pubsub: PubSub, client: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[object] = []

    def rename(connection: Any, details: Any) -> None:
        gevent.sleep(0)
        done.append((connection, details))
        if details is None:
            raise ZeroDivisionError

    ann, ann_too, ben = client(), client(), client()
    for one, user in ((ann, "ann"), (ann_too, "ann"), (ben, "ben")):
        pubsub.identify(one.connection, user)
    pubsub.on_command("rename", rename)
    pubsub.command("ann", "rename", {"name": ["Anna"]})
    in_native_thread(lambda: pubsub.command("ben", "rename"))
    wait_until(lambda: len(done) == 3)
    assert (ben.connection, None) in done
    assert all((one.connection, {"name": ["Anna"]}) in done for one in (ann, ann_too))
    wait_until(lambda: "the handler of the command 'rename' has failed" in caplog.text)


def test_a_command_may_subscribe_a_user(pubsub: PubSub, client: Connect) -> None:
    pubsub.on_command("subscribe", pubsub.subscribe)
    ann = client()
    pubsub.identify(ann.connection, "ann")
    pubsub.command("ann", "subscribe", "news")
    wait_until(lambda: pubsub.channels() == {"news": 1})
    pubsub.publish("news", "hello")
    assert ann.receive() == "hello"


# Nodes


def test_channels_are_listed_by_pattern(pubsub: PubSub, client: Connect) -> None:
    ann = client()
    for channel in ("news", "kept:news", "kept:"):
        pubsub.subscribe(ann.connection, channel)
    assert pubsub.channels("kept:*") == {"kept:news": 1, "kept:": 1}
    assert pubsub.channels("*news") == {"news": 1, "kept:news": 1}
    assert pubsub.channels("none") == {}


def test_a_node_says_what_it_is(pubsub: PubSub, client: Connect) -> None:
    ann, ben = client(), client()
    pubsub.subscribe(ann.connection, "news")
    pubsub.identify(ben.connection, "ben")
    wait_until(lambda: pubsub.nodes())
    (node,) = pubsub.nodes()
    assert (node.pid, node.host, node.name) == (
        os.getpid(),
        socket.gethostname(),
        f"{socket.gethostname()}:{os.getpid()}",
    )
    assert node.uptime >= 0
    assert 0 < node.connections <= 2


# Listeners


def test_code_listens_without_a_connection(pubsub: PubSub) -> None:
    heard: list[Publication] = []
    listener = pubsub.listen("kept:news", heard.append)
    assert pubsub.channels() == {"kept:news": 1}
    position = pubsub.publish("kept:news", "hello")
    in_native_thread(lambda: pubsub.publish("kept:news", "from a thread"))
    wait_until(lambda: len(heard) == 2)
    assert heard[0] == Publication("hello", "kept:news", position)
    listener.stop()
    listener.stop()
    pubsub.publish("kept:news", "unheard")
    assert pubsub.channels() == {}
    assert len(heard) == 2


@pytest.mark.logs_errors
@pytest.mark.parametrize("error", [ZeroDivisionError, gevent.Timeout])
def test_a_listener_that_fails_hears_the_next(
    error: type[BaseException], pubsub: PubSub, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def listen(publication: Publication) -> None:
        heard.append(str(publication.message))
        raise error

    listener = pubsub.listen("news", listen)
    for message in ("first", "second"):
        pubsub.publish("news", message)
    wait_until(lambda: heard == ["first", "second"])
    wait_until(lambda: caplog.text.count("has failed") == 2)
    assert error.__name__ in caplog.text
    listener.stop()


@pytest.mark.parametrize(("limit", "value"), [("MAX_WAITING", 3), ("MAX_WAITING_SIZE", 3 * 65)])
def test_a_listener_that_is_too_slow_misses_publications_and_counts_them(
    pubsub: PubSub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"geventkws.pubsub.listener.{limit}", value)
    heard: list[str] = []
    may_go_on, is_called = Event(), Event()

    def listen(publication: Publication) -> None:
        heard.append(str(publication.message))
        is_called.set()
        may_go_on.wait(PATIENCE)

    listener = pubsub.listen("news", listen)
    pubsub.publish("news", "0")
    assert is_called.wait(PATIENCE)
    for number in range(1, 7):
        pubsub.publish("news", str(number))
    wait_until(lambda: listener.dropped == 3)
    may_go_on.set()
    wait_until(lambda: heard == ["0", "1", "2", "3"])
    listener.stop()
    assert caplog.text.count("too slow") == 1


def test_those_who_announce_and_those_who_listen_do_not_disturb_each_other(
    pubsub: PubSub, client: Connect
) -> None:
    heard: list[Publication] = []
    listener = pubsub.listen("seen:room", heard.append)
    ann = client()
    pubsub.subscribe(ann.connection, "seen:room")
    pubsub.publish("seen:room", "hello")
    wait_until(lambda: heard)
    listener.stop()
    assert [publication.message for publication in heard] == ["hello"]
    assert pubsub.channels() == {"seen:room": 1}


# Mistakes


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda it, one: it.publish(b"news", "x"), TypeError, "name of a channel is a str"),
        (lambda it, one: it.publish("", "x"), ValueError, "must not be empty"),
        (lambda it, one: it.publish("é" * 128, "x"), ValueError, "at most 255 bytes"),
        (lambda it, one: it.publish("news", 42), TypeError, "must be str or bytes"),
        (lambda it, one: it.publish("news", "\ud800"), ValueError, "surrogates"),
        (lambda it, one: it.publish("news", "x" * (2**20 + 1)), ValueError, "max_message_size is 1048576"),
        (lambda it, one: it.publish("news", "x", key=1), TypeError, "key of a publication"),
        (lambda it, one: it.subscribe("news", one), TypeError, "a WebSocketConnection subscribes"),
        (lambda it, one: it.subscribe(one, "news", info=object()), TypeError, "JSON can express"),
        (lambda it, one: it.subscribe(one, "news", since=3), TypeError, "since must be a Position"),
        (lambda it, one: it.subscribe(one, "news", transform=[]), TypeError, "unhashable"),
        (lambda it, one: it.history("news", limit=0), ValueError, "limit must be"),
        (lambda it, one: it.listen("news", None), TypeError, "a function to call"),
        (lambda it, one: it.identify(one, 42), TypeError, "identified by a str"),
        (lambda it, one: it.disconnect(42), TypeError, "identified by a str"),
        (lambda it, one: it.command(42, "unsubscribe"), TypeError, "identified by a str"),
        (lambda it, one: it.command("ann", "rename"), ValueError, "no on_command has been called"),
        (lambda it, one: it.command("ann", "disconnect", object()), TypeError, "JSON can express"),
        (lambda it, one: it.command("ann", "disconnect", "x" * 2**20), ValueError, "max_message_size"),
        (lambda it, one: it.on_command("rename", None), TypeError, "a function to call"),
        (lambda it, one: it.on_command("disconnect", print), ValueError, "has a handler already"),
        (lambda it, one: it.channels(""), ValueError, "must not be empty"),
        (lambda it, one: it.disconnect("ann", 42), ValueError, "42 is not a close code"),
        (lambda it, one: it.configure("*", history_size="many"), TypeError, "number of publications"),
        (lambda it, one: it.configure("*", history_size=-1), ValueError, "must not be negative"),
        (lambda it, one: it.configure("*", history_ttl="long"), TypeError, "number of seconds"),
        (lambda it, one: it.configure("*", history_ttl=0), ValueError, "more than 0 seconds"),
        (
            lambda it, one: it.configure("*", history_ttl=float("inf")),
            ValueError,
            "and at most 316224000",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_told_where_it_is_made(
    pubsub: PubSub, client: Connect, call: Any, error: type[Exception], words: str
) -> None:
    ann = client()
    with pytest.raises(error, match=words):
        call(pubsub, ann.connection)
    assert pubsub.channels() == {}


def test_the_size_limit_is_an_argument(client: Connect) -> None:
    pubsub = PubSub(max_message_size=3)
    pubsub.publish("news", "abc")
    with pytest.raises(ValueError, match="max_message_size is 3"):
        pubsub.publish("news", "abcd")
