"""What goes wrong with Redis: nothing is lost in silence, nothing comes twice, nothing waits for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import Event
from redis.exceptions import ResponseError

from geventkws import ConnectionClosed
from geventkws.pubsub import BrokerRefused, BrokerUnavailable, Position, Publication, PubSub
from geventkws.pubsub.broker import Stream
from geventkws.pubsub.redis.link import Backoff
from geventkws.pubsub.redis.scripts import LEAVE
from geventkws.testing import ServiceClient
from tests.programs import ROOT
from tests.pubsub.conftest import Connect, RedisServer, configured
from tests.pubsub.proxy import Proxy
from tests.waiting import PATIENCE, wait_until


@pytest.fixture
def pubsub(own_redis: RedisServer) -> Iterator[PubSub]:
    with closing(configured(PubSub(own_redis.url))) as pubsub:
        yield pubsub


@contextmanager
def nodes(*urls: str) -> Iterator[list[PubSub]]:
    """Yield a node for each URL."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(configured(PubSub(url)))) for url in urls]


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes seconds take fractions of them."""
    package = "geventkws.pubsub.redis"
    for name, seconds in (
        ("commands.SOCKET_TIMEOUT", 1.0),
        ("commands.PATIENCE", 1.0),
        ("reader.PROBE_INTERVAL", 0.2),
        ("reader.DEAF_AFTER", 2.0),
        ("broker.OPEN_TIMEOUT", 1.0),
        ("link.CONNECT_TIMEOUT", 2.0),
    ):
        monkeypatch.setattr(f"{package}.{name}", seconds)


def insist(pubsub: PubSub, message: str, channel: str = "kept:news") -> None:
    """Publish a message until that succeeds, once."""
    key = uuid.uuid4().hex
    with gevent.Timeout(PATIENCE):
        while True:
            try:
                pubsub.publish(channel, message, key=key)
            except BrokerUnavailable:
                continue
            return


def is_told_of_the_loss(client: ServiceClient) -> bool:
    """Return whether the connection ends with 1013, for its client to come back."""
    with pytest.raises(ConnectionClosed, match="1013"):
        client.receive()
    return True


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
def test_a_killed_connection_loses_nothing(
    pubsub: PubSub, own_redis: RedisServer, client: Connect, kind: str
) -> None:
    pubsub.configure("kept:*", history_size=1000)
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    for number in range(100):
        if number % 25 == 10:
            own_redis.ask("CLIENT", "KILL", "TYPE", kind)
        pubsub.publish("kept:news", str(number))
    assert [ann.receive() for _ in range(100)] == [str(number) for number in range(100)]


def test_more_than_the_history_has_is_told_as_lost(
    pubsub: PubSub, own_redis: RedisServer, client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Publication] = []
    listener = pubsub.listen("kept:news", heard.append)
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    first = pubsub.publish("kept:news", "first")
    assert ann.receive() == "first"
    is_published = Event()
    monkeypatch.setattr(Backoff, "delay", lambda backoff: float(not is_published.wait(PATIENCE)))
    pubsub._broker._ears.reader._link.disconnect()  # type: ignore[attr-defined]
    for number in range(10):
        pubsub.publish("kept:news", str(number))
    is_published.set()
    assert is_told_of_the_loss(ann)
    ben = client()
    assert not pubsub.subscribe(ben.connection, "kept:news", since=first).recovered
    pubsub.publish("kept:news", "after")
    assert ben.receive() == "after"
    wait_until(lambda: heard[-1].message == "after")
    listener.stop()


@pytest.mark.parametrize("is_refused", [False, True])
def test_what_a_channel_had_missed_when_everybody_left_is_no_matter_for_who_comes(
    pubsub: PubSub, client: Connect, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    monkeypatch.setattr("geventkws.pubsub.redis.broker.REFUSAL_PATIENCE", 0.0)
    broker: Any = pubsub._broker
    ann, ben = client(), client()
    pubsub.subscribe(ann.connection, "kept:news")
    pubsub.publish("kept:news", "first")
    assert ann.receive() == "first"
    checkers: list[Any] = []
    is_asked, is_back, has_answered = Event(), Event(), Event()
    original: Callable[..., Stream] = broker.history

    def history(*args: object) -> Stream:
        if not checkers:  # Redis is away just when it is asked for what was missed
            checkers.append(gevent.getcurrent())
            checkers[0].rawlink(lambda checker: has_answered.set())
            is_asked.set()
            assert is_back.wait(PATIENCE)
        if is_refused and gevent.getcurrent() in checkers:
            raise BrokerRefused("OOM")
        return original(*args)

    monkeypatch.setattr(broker, "history", history)
    broker.check("kept:news")
    assert is_asked.wait(PATIENCE)
    pubsub.unsubscribe(ann.connection, "kept:news")
    pubsub.subscribe(ben.connection, "kept:news")
    pubsub.publish("kept:news", "second")
    assert ben.receive() == "second"
    is_back.set()
    assert has_answered.wait(PATIENCE)
    pubsub.publish("kept:news", "third")
    assert ben.receive() == "third"


def test_what_arrives_of_an_epoch_that_is_over_is_asked_about_once(
    pubsub: PubSub, client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker: Any = pubsub._broker
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    pubsub.publish("kept:news", "first")
    assert ann.receive() == "first"
    asked: list[object] = []
    original: Callable[..., Stream] = broker.history

    def history(*args: object) -> Stream:
        asked.append(args)
        return original(*args)

    monkeypatch.setattr(broker, "history", history)
    # Redis had sent it before a restart, and this process was too busy to read it until now.
    feed = broker._ears.feeds["kept:news"]
    feed.take(Publication("late", "kept:news", Position(9, "over")), frozenset())
    wait_until(lambda: asked)
    for message in ("second", "third"):
        pubsub.publish("kept:news", message)
        assert ann.receive() == message
    assert len(asked) == 1


def test_a_restart_without_persistence_is_told_as_a_loss(
    pubsub: PubSub, own_redis: RedisServer, client: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    ann, ben = client(), client()
    pubsub.subscribe(ann.connection, "kept:news")
    pubsub.subscribe(ben.connection, "news")
    since = pubsub.publish("kept:news", "before")
    assert ann.receive() == "before"
    own_redis.kill()
    wait_until(lambda: pubsub.is_deaf)
    own_redis.start()
    assert is_told_of_the_loss(ann)
    wait_until(lambda: not pubsub.is_deaf)
    eve = client()
    assert not pubsub.subscribe(eve.connection, "kept:news", since=since).recovered
    pubsub.publish("kept:news", "after")
    assert eve.receive() == "after"
    # A channel without a history goes on.
    pubsub.publish("news", "hello")
    assert ben.receive() == "hello"
    assert caplog.text.count("no messages come from Redis") == 1


def test_with_a_synchronous_log_a_killed_server_keeps_what_was_answered(
    client: Connect, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path, "--port", "0", "--appendonly", "yes", "--appendfsync", "always")
    redis.start()
    with closing(PubSub(redis.url)) as pubsub:
        pubsub.configure("kept:*", history_size=1000)
        ann = client()
        pubsub.subscribe(ann.connection, "kept:news")
        publishing = [gevent.spawn(insist, pubsub, str(number)) for number in range(300)]
        wait_until(lambda: sum(one.ready() for one in publishing) > 10)
        redis.kill()
        wait_until(lambda: pubsub.is_deaf)
        redis.start()
        gevent.joinall(publishing, timeout=PATIENCE, raise_error=True)
        kept = [str(publication.message) for publication in pubsub.history("kept:news", limit=1000)]
        assert sorted(kept) == sorted(str(number) for number in range(300))
        # The one who had subscribed got a part, in order and without a gap, and was told to come back.
        received: list[str] = []

        def read() -> None:
            while True:
                received.append(str(ann.receive()))

        with pytest.raises(ConnectionClosed, match="1013"):
            read()
        assert received == kept[: len(received)]
    redis.kill()


def test_a_reader_that_redis_cuts_off_because_it_is_too_slow_loses_nothing(
    pubsub: PubSub, own_redis: RedisServer, client: Connect
) -> None:
    pubsub.configure("kept:*", history_size=1000)
    ann = client(max_send_buffer=2**30)
    pubsub.subscribe(ann.connection, "kept:news")
    own_redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1000 0 0")
    for number in range(20):
        pubsub.publish("kept:news", str(number).ljust(100_000))
    received = [str(ann.receive()).strip() for _ in range(20)]
    assert received == [str(number) for number in range(20)]
    assert b"client_output_buffer_limit_disconnections:0" not in own_redis.ask("INFO", "stats")


def test_a_restart_from_an_older_dump_is_told_as_a_loss(
    pubsub: PubSub, own_redis: RedisServer, client: Connect
) -> None:
    since = pubsub.publish("kept:news", "kept")
    own_redis.ask("SAVE")
    pubsub.publish("kept:news", "lost")
    own_redis.kill()
    own_redis.start()
    # Nothing has been published since; but "lost" has.
    ann = client()
    assert not pubsub.subscribe(ann.connection, "kept:news", since=since).recovered
    again = pubsub.publish("kept:news", "in its place")
    assert since is not None
    assert again is not None
    assert again.offset == since.offset + 1
    assert again.epoch != since.epoch
    assert [publication.message for publication in pubsub.history("kept:news")] == ["kept", "in its place"]


def test_flushall_is_told_as_a_loss(pubsub: PubSub, own_redis: RedisServer, client: Connect) -> None:
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    pubsub.publish("kept:news", "before")
    assert ann.receive() == "before"
    own_redis.ask("FLUSHALL")
    pubsub.publish("kept:news", "after")
    assert is_told_of_the_loss(ann)


def test_without_its_epoch_a_history_begins_anew(pubsub: PubSub, own_redis: RedisServer) -> None:
    since = pubsub.publish("kept:news", "before")
    pubsub.publish("kept:news", "too")
    own_redis.ask("DEL", "geventkws:meta:kept:news")  # as if it had been evicted
    after = pubsub.publish("kept:news", "after")
    assert since is not None
    assert after is not None
    assert (after.offset, after.epoch == since.epoch) == (1, False)
    assert [publication.message for publication in pubsub.history("kept:news")] == ["after"]


def test_scripts_that_redis_has_forgotten_are_told_again(pubsub: PubSub, own_redis: RedisServer) -> None:
    pubsub.publish("kept:news", "first")
    own_redis.ask("SCRIPT", "FLUSH")
    position = pubsub.publish("kept:news", "second")
    assert position is not None
    assert position.offset == 2


@pytest.mark.usefixtures("short_patience")
def test_a_server_that_stands_still_delays_but_loses_nothing(
    pubsub: PubSub, own_redis: RedisServer, client: Connect
) -> None:
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    own_redis.kill(signal.SIGSTOP)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        pubsub.publish("kept:news", "in vain", key="1")
    wait_until(lambda: pubsub.is_deaf)
    own_redis.kill(signal.SIGCONT)
    insist(pubsub, "after")
    received = [ann.receive()]
    if received == ["in vain"]:  # it had been sent, though not answered
        received.append(ann.receive())
    assert received[-1] == "after"
    wait_until(lambda: not pubsub.is_deaf)


CALLS: dict[str, Callable[[PubSub, Any], object]] = {
    "publish": lambda pubsub, connection: pubsub.publish("kept:news", "x"),
    "history": lambda pubsub, connection: pubsub.history("kept:news"),
    "presence": lambda pubsub, connection: pubsub.presence("seen:room"),
    "channels": lambda pubsub, connection: pubsub.channels(),
    "nodes": lambda pubsub, connection: pubsub.nodes(),
    "disconnect": lambda pubsub, connection: pubsub.disconnect("ben"),
    "unsubscribe": lambda pubsub, connection: pubsub.unsubscribe("ben", "news"),
    "command": lambda pubsub, connection: pubsub.command("ben", "note"),
    "subscribe": lambda pubsub, connection: pubsub.subscribe(connection, "seen:other"),
    "subscribe again": lambda pubsub, connection: pubsub.subscribe(connection, "kept:news"),
    "listen": lambda pubsub, connection: pubsub.listen("kept:more", print),
}


@pytest.mark.alone
@pytest.mark.usefixtures("short_patience")
def test_no_call_waits_for_a_silent_server_beyond_its_time(
    pubsub: PubSub, own_redis: RedisServer, client: Connect
) -> None:
    pubsub.on_command("note", print)
    ann = client()
    pubsub.subscribe(ann.connection, "kept:news")
    own_redis.kill(signal.SIGSTOP)

    def seconds_of(call: Callable[[PubSub, Any], object]) -> float:
        began = monotonic()
        with pytest.raises(BrokerUnavailable):
            call(pubsub, ann.connection)
        return monotonic() - began

    calls = {name: gevent.spawn(seconds_of, call) for name, call in CALLS.items()}
    gevent.joinall(list(calls.values()), timeout=PATIENCE, raise_error=True)
    own_redis.kill(signal.SIGCONT)
    # A second of patience, an attempt that begins at its end, and, for a new channel, one to subscribe.
    assert {name: call.value for name, call in calls.items() if (call.value or 0) > 6} == {}
    wait_until(lambda: not pubsub.is_deaf)


@pytest.mark.usefixtures("short_patience")
def test_redis_may_be_away_at_the_start(own_redis: RedisServer, client: Connect) -> None:
    own_redis.kill()
    with closing(configured(PubSub(own_redis.url))) as pubsub:
        ann = client()
        assert not pubsub.is_deaf  # nobody listens yet
        for call in (
            lambda: pubsub.publish("news", "in vain"),
            lambda: pubsub.subscribe(ann.connection, "news"),
            lambda: pubsub.listen("news", print),
            lambda: pubsub.disconnect("ann"),
        ):
            with pytest.raises(BrokerUnavailable):
                call()
        assert pubsub.is_deaf
        own_redis.start()
        wait_until(lambda: not pubsub.is_deaf)
        wait_until(lambda: subscribed(pubsub, ann))
        insist(pubsub, "hello", "news")
        assert ann.receive() == "hello"


def test_a_connection_that_ends_before_redis_has_answered_waits_no_longer(
    own_redis: RedisServer, client: Connect
) -> None:
    with nodes(own_redis.url) as [pubsub]:
        pubsub.listen("other", print)  # connects
        ann = client()
        own_redis.kill(signal.SIGSTOP)
        try:
            subscribing = gevent.spawn(pubsub.subscribe, ann.connection, "news")
            wait_until(lambda: pubsub._node.wants("news"))
            ann.close()
            assert subscribing.get() == (False, None)
        finally:
            own_redis.kill(signal.SIGCONT)


def subscribed(pubsub: PubSub, client: ServiceClient) -> bool:
    try:
        pubsub.subscribe(client.connection, "news")
    except BrokerUnavailable:
        return False
    return True


@pytest.fixture
def proxy(own_redis: RedisServer) -> Iterator[Proxy]:
    with closing(Proxy(own_redis.url.removeprefix("unix://"))) as proxy:
        yield proxy


def test_an_answer_that_is_cut_off_does_not_double_a_publication(
    proxy: Proxy, own_redis: RedisServer, client: Connect
) -> None:
    with nodes(proxy.url, own_redis.url) as (pubsub, near):
        ann = client()
        for channel in ("kept:news", "news"):
            near.subscribe(ann.connection, channel)
            pubsub.publish(channel, "first")
            proxy.cut_after = b"second"
            pubsub.publish(channel, "second")
            assert proxy.cut_after == b""
            pubsub.publish(channel, "third")
            assert [ann.receive() for _ in range(3)] == ["first", "second", "third"]


@pytest.mark.parametrize("ask", ["history", "publish"])
def test_an_attempt_that_is_repeated_gives_no_two_histories_the_same_epoch(
    proxy: Proxy, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    epochs: list[bytes] = []
    with nodes(proxy.url) as (pubsub,):
        broker: Any = pubsub._broker
        meta, _ = broker._history_keys("kept:news")

        def lose_everything(backoff: Backoff) -> float:
            wait_until(lambda: own_redis.ask("HGET", meta, "epoch"))
            epochs.append(own_redis.ask("HGET", meta, "epoch"))
            own_redis.ask("FLUSHALL")
            return 0.0

        monkeypatch.setattr(Backoff, "delay", lose_everything)
        proxy.cut_after = b"EVALSHA"
        if ask == "history":
            epoch = broker.history("kept:news", Position(1, "before"), None, None).top.epoch
        else:
            position = pubsub.publish("kept:news", "hello")
            assert position is not None
            epoch = position.epoch
    assert len(epochs) == 1
    assert epoch.encode() not in epochs


@pytest.mark.usefixtures("short_patience")
def test_a_network_that_swallows_everything_is_found_out(
    proxy: Proxy, own_redis: RedisServer, client: Connect
) -> None:
    with nodes(proxy.url, own_redis.url) as (pubsub, near):
        ann = client()
        pubsub.subscribe(ann.connection, "kept:news")
        proxy.is_silent = True
        insist(near, "meanwhile")
        wait_until(lambda: pubsub.is_deaf)
        proxy.is_silent = False
        insist(pubsub, "after")
        assert [ann.receive() for _ in range(2)] == ["meanwhile", "after"]


def test_a_message_that_nobody_understands_is_logged_and_the_next_arrives(
    pubsub: PubSub, own_redis: RedisServer, client: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    ann = client()
    pubsub.subscribe(ann.connection, "news")
    for channel in ("geventkws:bus:news", "geventkws:bus:"):
        own_redis.ask("PUBLISH", channel, "nonsense")
    pubsub.publish("news", "hello")
    assert ann.receive() == "hello"
    wait_until(lambda: caplog.text.count("cannot be understood") == 2)
    caplog.clear()


NODE = """
from gevent import monkey; monkey.patch_all()
import sys, time
from geventkws import WebSocketService
from geventkws.pubsub import PubSub
from geventkws.pubsub.redis import lease, members
from geventkws.testing import connect

class Quiet(WebSocketService):
    def received(self, message, connection): pass

{settings}
pubsub = PubSub(sys.argv[1])
pubsub.configure("seen:*", presence=True)
with connect(Quiet()) as client:
    pubsub.subscribe(client.connection, "seen:room", "Ben")
    time.sleep(100)
"""
"""A process with one connection, which is soon forgotten."""


@pytest.mark.parametrize("settings", ["lease.TTL, lease.INTERVAL = 1, 0.2", "members.TTL = 1"])
def test_the_members_of_a_process_that_is_killed_leave_once(
    own_redis: RedisServer, client: Connect, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    for name in ("lease.INTERVAL", "members.RENEWAL"):
        monkeypatch.setattr(f"geventkws.pubsub.redis.{name}", 0.2)
    program = NODE.format(settings=settings)
    with nodes(own_redis.url, own_redis.url) as (pubsub, other):
        ann, eve = client(), client()
        for node, one in ((pubsub, ann), (other, eve)):
            node.subscribe(
                one.connection, "seen:room", "Ann", announce=lambda event: f"{event.info} {event.joined}"
            )
        assert ann.receive() == "Ann True"
        with subprocess.Popen([sys.executable, "-c", program, own_redis.url], cwd=ROOT) as process:
            try:
                assert ann.receive() == eve.receive() == "Ben True"
            finally:
                process.kill()
        assert ann.receive() == eve.receive() == "Ben False"
        assert set(pubsub.presence("seen:room")) == {ann.connection.id, eve.connection.id}
        pubsub.publish("seen:room", "end")
        assert ann.receive() == eve.receive() == "end"


@pytest.mark.usefixtures("short_patience")
def test_members_are_there_again_after_redis_was_away(
    pubsub: PubSub, own_redis: RedisServer, client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geventkws.pubsub.redis.members.RENEWAL", 0.1)
    ann = client()
    pubsub.subscribe(ann.connection, "seen:room", "Ann")
    own_redis.kill()
    with pytest.raises(BrokerUnavailable):  # for so long that a renewal fails, too
        pubsub.presence("seen:room")
    own_redis.start()
    assert is_there(pubsub, ann)
    ann.close()
    wait_until(lambda: pubsub.channels() == {})


def is_there(pubsub: PubSub, client: ServiceClient) -> bool:
    """Wait until a client is present."""
    there: dict[str, object] = {}
    with gevent.Timeout(PATIENCE):
        while client.connection.id not in there:
            with suppress(BrokerUnavailable):
                there = pubsub.presence("seen:room")
    return True


@pytest.mark.usefixtures("short_patience")
class TestWhatRedisRefuses:
    """It may be allowed again a moment later."""

    def test_members_are_renewed_when_there_is_memory_again(
        self, own_redis: RedisServer, pubsub: PubSub, client: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("geventkws.pubsub.redis.members.RENEWAL", 0.05)
        one = client()
        pubsub.subscribe(one.connection, "seen:room", "Ann")
        own_redis.ask("CONFIG", "SET", "maxmemory", 1)
        wait_until(lambda: b"errorstat_OOM" in own_redis.ask("INFO", "errorstats"))
        own_redis.ask("CONFIG", "SET", "maxmemory", 0)
        own_redis.ask("FLUSHALL")
        wait_until(lambda: pubsub.presence("seen:room") == {one.connection.id: "Ann"})

    def test_leaving_is_told_when_there_is_memory_again(
        self, own_redis: RedisServer, pubsub: PubSub, client: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = client(), client()
        for each in (one, two):
            pubsub.subscribe(each.connection, "seen:room")
        broker: Any = pubsub._broker
        call, refusals = broker.call_on, [ResponseError("OOM")]

        def refusing(script: object, *rest: Any) -> object:
            if script is LEAVE and refusals:
                raise refusals.pop()
            return call(script, *rest)

        monkeypatch.setattr(broker._ears.members, "_call", refusing)
        pubsub.unsubscribe(one.connection, "seen:room")
        wait_until(lambda: not refusals)
        pubsub.unsubscribe(two.connection, "seen:room")
        wait_until(lambda: two.connection.id not in pubsub.presence("seen:room"))

    def test_messages_to_ourselves_go_on(
        self, own_redis: RedisServer, pubsub: PubSub, client: Connect
    ) -> None:
        pubsub.subscribe(client().connection, "news")
        own_redis.ask("ACL", "SETUSER", "default", "-publish")
        wait_until(lambda: b"errorstat_NOPERM" in own_redis.ask("INFO", "errorstats"))
        own_redis.ask("CONFIG", "RESETSTAT")
        own_redis.ask("ACL", "SETUSER", "default", "+publish")
        wait_until(lambda: b"cmdstat_publish:calls=" in own_redis.ask("INFO", "commandstats"))

    def test_what_was_missed_is_asked_for_again(
        self, pubsub: PubSub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broker: Any = pubsub._broker
        stream = Stream(Position(1, "e"), [], True)
        answers: list[object] = [stream, BrokerRefused("OOM"), BrokerUnavailable("away")]

        def history(*args: object) -> object:
            answer = answers.pop()
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(broker, "history", history)
        assert broker.history_since("news", Position(1, "e")) is stream

    @pytest.mark.logs_errors
    def test_what_is_refused_for_long_is_told_as_a_loss(
        self,
        own_redis: RedisServer,
        pubsub: PubSub,
        client: Connect,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr("geventkws.pubsub.redis.broker.REFUSAL_PATIENCE", 0.2)
        ann, ben = client(), client()
        pubsub.subscribe(ann.connection, "kept:news")
        pubsub.subscribe(ben.connection, "kept:other")
        for channel in ("kept:news", "kept:other"):
            pubsub.publish(channel, "before")
        assert ann.receive() == ben.receive() == "before"
        own_redis.ask("SET", "geventkws:meta:kept:news", "of another type")
        own_redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
        assert is_told_of_the_loss(ann)
        assert "on 'kept:news' meanwhile is lost: Redis refuses this: WRONGTYPE" in caplog.text
        with pytest.raises(BrokerRefused, match="WRONGTYPE"):
            pubsub.publish("kept:news", "in vain")
        pubsub.publish("kept:other", "after")
        assert ben.receive() == "after"

    @pytest.mark.parametrize(
        ("rule", "password", "words"),
        [
            ("-info", "right", "permissions to run the 'info' command"),
            ("+info", "wrong", "invalid username-password"),
            ("-publish", "right", "run this command|publish"),
        ],
    )
    def test_it_is_told_at_once(self, own_redis: RedisServer, rule: str, password: str, words: str) -> None:
        own_redis.ask("ACL", "SETUSER", "ann", "on", ">right", "+@all", "~*", "&*", rule)
        url = own_redis.url.replace("unix://", f"unix://ann:{password}@")
        with closing(PubSub(url)) as pubsub, pytest.raises(BrokerRefused, match=words):
            pubsub.publish("news", "in vain")
