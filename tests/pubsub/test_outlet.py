"""Delivery in the threads of several hubs, and from native threads that publish faster than that."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws import ConnectionClosed
from geventkws.loop.loop import Loop, allocate_lock
from geventkws.pubsub import Publication, PubSub
from geventkws.pubsub.outlet import Outlet
from tests.pubsub.conftest import Connect, in_native_thread, start_new_thread
from tests.waiting import PATIENCE, wait_until


@pytest.mark.parametrize(("limit", "value"), [("MAX_QUEUED", 10), ("MAX_QUEUED_SIZE", 10 * 65)])
def test_a_native_thread_waits_while_too_much_is_queued(
    client: Connect, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"geventkws.pubsub.outlet.{limit}", value)
    pubsub, longest = PubSub(), 0
    heard: list[Any] = []
    listener = pubsub.listen("news", heard.append)
    put = Outlet.put

    def measured(outlet: Outlet, call: Any, size: int = 0) -> None:
        nonlocal longest
        put(outlet, call, size)
        longest = max(longest, len(outlet._queue))

    monkeypatch.setattr(Outlet, "put", measured)
    in_native_thread(lambda: [pubsub.publish("news", "x") for _ in range(1000)])
    wait_until(lambda: len(heard) == 1000)
    assert longest <= 10 + 1
    listener.stop()


def test_one_that_everybody_has_left_is_not_left_to_the_garbage_collector(client: Connect) -> None:
    pubsub, subscriber = PubSub(), client()
    pubsub.subscribe(subscriber.connection, "news")
    gc.collect()
    gc.disable()
    try:
        outlets = weakref.WeakSet(each for each in gc.get_objects() if type(each) is Outlet)
        assert len(outlets) == 1
        subscriber.close()
        wait_until(lambda: not outlets)
    finally:
        gc.enable()


def test_a_publisher_that_is_killed_holds_up_nobody(client: Connect) -> None:
    pubsub, is_waiting = PubSub(), Event()

    def transform(publication: Publication) -> str:
        if publication.message == "first" and not is_waiting.is_set():
            is_waiting.set()
            gevent.sleep(PATIENCE)
        return str(publication.message)

    one, two = client(), client()
    pubsub.subscribe(one.connection, "news", transform=transform)
    pubsub.subscribe(two.connection, "news")
    publisher = gevent.spawn(pubsub.publish, "news", "first")
    assert is_waiting.wait(PATIENCE)
    pubsub.publish("news", "second")
    publisher.kill()
    for each in (one, two):
        assert [each.receive() for _ in range(2)] == ["first", "second"]


@pytest.mark.logs_errors
def test_a_transform_whose_time_is_up_twice_ends_only_its_own_connection(client: Connect) -> None:
    pubsub = PubSub()

    def transform(publication: Publication) -> str:
        raise gevent.Timeout  # one that never started, and so has no timer to be closed

    one, two = client(), client()
    pubsub.subscribe(one.connection, "news", transform=transform)
    pubsub.subscribe(two.connection, "news")
    with pytest.raises(gevent.Timeout):
        pubsub.publish("news", "hello")
    assert two.receive() == "hello"
    with pytest.raises(ConnectionClosed, match="1011"):
        one.receive()


def test_the_listeners_of_another_hub_hear_in_its_thread(pubsub: PubSub) -> None:
    here, there = [], []
    listener = pubsub.listen("news", lambda it: here.append(it.message))
    listening, told_to_stop = [], allocate_lock()
    ended: list[bool] = []
    told_to_stop.acquire()

    def listen() -> None:
        heard = Event()

        def hear(publication: Any) -> None:
            there.append(publication.message)
            heard.set()

        pubsub.listen("news", hear)
        listening.append(True)
        heard.wait(PATIENCE)
        gevent.get_hub().destroy(destroy_loop=True)
        ended.append(True)

    start_new_thread(listen, ())
    wait_until(lambda: listening)
    assert pubsub.channels() == {"news": 2}
    pubsub.publish("news", "hello")
    wait_until(lambda: ended)
    assert there == ["hello"]
    # The other hub is gone, and its listener with it; that is found out by the next publication.
    pubsub.publish("news", "unheard there")
    wait_until(lambda: here == ["hello", "unheard there"])
    wait_until(lambda: pubsub.channels() == {"news": 1})
    listener.stop()


def test_an_outlet_that_has_nobody_left_is_forgotten(client: Connect) -> None:
    pubsub = PubSub()
    ann = client()
    outlet = pubsub._node.outlet(Loop.current())
    assert pubsub._node.outlet(Loop.current()) is outlet
    pubsub.subscribe(ann.connection, "news")
    ann.close()
    wait_until(lambda: pubsub._node._outlets == ())
