"""What is counted of channels, and how it is told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from gevent.monkey import get_original
from prometheus_client import CollectorRegistry

from geventkws.cli.health import Health
from geventkws.metrics import Metrics
from geventkws.pubsub import PubSub
from geventkws.pubsub.tally import TALLY, Tally
from tests.pubsub.conftest import Connect, RedisServer, configured, in_native_thread
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def tally(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count from 0, without the channels of other tests."""
    before = dict(vars(TALLY))
    TALLY.reset()
    yield
    vars(TALLY).update(before)


def value(name: str) -> float | None:
    registry = CollectorRegistry()
    Metrics(registry=registry)
    return registry.get_sample_value(f"geventkws_{name}")


def test_publications_and_deliveries_are_counted(pubsub: PubSub, client: Connect) -> None:
    TALLY.watch(pubsub._node)
    ann, ben = client(), client()
    for one in (ann, ben, ben):
        pubsub.subscribe(one.connection, "news")
    pubsub.subscribe(ann.connection, "other")
    listener = pubsub.listen("news", lambda publication: None)
    assert (value("channels"), value("channel_subscriptions")) == (2, 4)
    pubsub.publish("news", "hello")
    in_native_thread(lambda: pubsub.publish("nobody", "hello"))
    assert ann.receive() == ben.receive() == "hello"
    assert value("channel_publications_total") == 2
    assert value("channel_deliveries_total") == 3
    listener.stop()
    ann.close()
    wait_until(lambda: value("channel_subscriptions") == 1)
    assert value("channels") == 1


def test_what_a_listener_misses_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geventkws.pubsub.listener.MAX_WAITING", 1)
    pubsub = PubSub()
    listener = pubsub.listen("news", lambda publication: None)
    for _ in range(3):
        pubsub.publish("news", "hello")
    assert value("channel_dropped_total") == 2
    listener.stop()


def test_what_goes_wrong_with_redis_is_counted_and_told(
    own_redis: RedisServer, client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geventkws.pubsub.redis.reader.PROBE_INTERVAL", 0.05)
    with closing(configured(PubSub(own_redis.url))) as pubsub:
        pubsub.subscribe(client().connection, "kept:news")
        pubsub.publish("kept:news", "hello")
        wait_until(lambda: value("channel_bus_delay_seconds_count"))
        own_redis.ask("PUBLISH", pubsub._broker._ears.reader._inbox, "nonsense")  # type: ignore[attr-defined]
        assert (value("channels_deaf"), health()) == (0, {"status": "ok"})
        own_redis.kill()
        wait_until(lambda: value("channels_deaf") == 1)
        assert health() == {"status": "ok", "channels": "deaf"}
        own_redis.start()
        wait_until(lambda: value("channels_deaf") == 0)
        assert health() == {"status": "ok"}
        assert value("channel_reconnections_total") == 1
        wait_until(lambda: value("channel_losses_total") == 1)


def health() -> Any:
    """Return what the health check says; its status is that of a server that works."""
    told: list[Any] = []
    environ = {"PATH_INFO": "/up", "REQUEST_METHOD": "GET"}
    body = Health(lambda environ, start: [], "/up")(environ, lambda *head: told.extend(head))
    assert told[0] == "200 OK"
    return json.loads(b"".join(body))


def test_a_forked_process_counts_from_0() -> None:
    pubsub = PubSub()
    pubsub.publish("news", "hello")
    assert TALLY.publications == 1
    pid = os.fork()
    if not pid:
        os._exit(TALLY.publications)
    # The real one: gevent's does not see all children on libuv.
    assert get_original("os", "waitpid")(pid, 0)[1] == 0


def test_channels_that_are_gone_are_no_longer_watched() -> None:
    class Gone:
        is_deaf = True

        def sizes(self) -> tuple[int, int]:
            return 1, 2

    tally, gone = Tally(), Gone()
    tally.watch(gone)
    assert (tally.deaf, tally.sizes()) == (1, (1, 2))
    del gone
    assert (tally.deaf, tally.sizes()) == (0, (0, 0))
