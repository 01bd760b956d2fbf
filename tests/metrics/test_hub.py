"""How late the hub is, and what waits for threads."""

from __future__ import annotations

from time import monotonic
from typing import Any

import gevent
import pytest
from gevent import get_hub, monkey
from gevent.threadpool import ThreadPool
from prometheus_client import CollectorRegistry

from geventkws.loop.durations import Durations
from geventkws.loop.loop import Loop
from geventkws.metrics.hub import INTERVAL, HubClock, threads, waiting_tasks
from geventkws.metrics.metrics import Metrics
from geventkws.version import __version__
from tests.metrics.conftest import Count, scrape
from tests.metrics.test_websockets import buckets
from tests.waiting import PATIENCE, wait_until

sleep_in_the_hub: Any = monkey.get_original("time", "sleep")
allocate_lock: Any = monkey.get_original("_thread", "allocate_lock")

NAME = "hub_delay_seconds"


def test_a_blocked_hub_shows_for_how_long(count: Count) -> None:
    site = count(block_warning=None)
    sleep_in_the_hub(INTERVAL + 0.6)
    gevent.sleep(0)
    with gevent.Timeout(PATIENCE):
        while not any(bound >= 1 for bound in buckets(scrape(site.port), NAME)):
            gevent.sleep(0.02)
    assert scrape(site.port).value(f"{NAME}_sum") >= 0.5


def test_a_hub_that_is_not_blocked_is_hardly_late(count: Count) -> None:
    began = monotonic()
    site = count()
    # A busy machine may delay the hub now and then, but not always for as long as the clock waits by itself.
    wait_until(lambda: any(bound < INTERVAL / 2 for bound in buckets(scrape(site.port), NAME)))
    assert scrape(site.port).value(f"{NAME}_count") <= (monotonic() - began) / INTERVAL + 1


def test_the_clock_ticks_until_it_is_stopped_whatever_it_calls_does() -> None:
    ticks: list[float] = []

    def fail(now: float) -> None:
        ticks.append(now)
        raise LookupError("a mistake")

    delays, hub = Durations(), get_hub()
    clock = HubClock(Loop.current(), delays, fail)
    reported: list[type[BaseException]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "handle_error", lambda context, kind, *error: reported.append(kind))
        clock.start()
        with gevent.Timeout(PATIENCE):
            while len(ticks) < 3:
                gevent.sleep(0.01)
    clock.stop()
    clock.stop()
    assert reported
    assert set(reported) == {LookupError}
    assert sum(delays.counts()) == len(ticks)
    gevent.sleep(3 * INTERVAL)
    assert sum(delays.counts()) == len(ticks)


def test_the_interval_begins_at_the_end_of_the_tick_before() -> None:
    began: list[float] = []
    ended: list[float] = []

    def block(now: float) -> None:
        began.append(now)
        sleep_in_the_hub(0.8 * INTERVAL)
        ended.append(monotonic())

    clock = HubClock(Loop.current(), Durations(), block)
    clock.start()
    with gevent.Timeout(PATIENCE):
        while len(ended) < 4:
            gevent.sleep(0.01)
    clock.stop()
    # Otherwise a hub that is late again and again would pass for one that was late once.
    assert min(later - before for before, later in zip(ended, began[1:], strict=False)) > 0.9 * INTERVAL


def test_a_tick_may_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(get_hub(), "handle_error", lambda *failure: failures.append(failure))
    clocks: list[HubClock] = []
    ticks: list[float] = []

    def stop(now: float) -> None:
        ticks.append(now)
        clocks[0].stop()

    clocks.append(HubClock(Loop.current(), Durations(), stop))
    clocks[0].start()
    gevent.sleep(4 * INTERVAL)
    assert len(ticks) == 1
    assert not failures


def test_tasks_that_no_thread_has_begun_count_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Any = get_hub()
    pool = ThreadPool(1, hub=hub)
    monkeypatch.setattr(hub, "_threadpool", pool)
    loop = Loop.current()
    lock = allocate_lock()
    lock.acquire()
    try:
        tasks = [pool.spawn(lock.acquire) for _ in range(2)]
        end = monotonic() + PATIENCE
        while waiting_tasks(loop) != 1 and monotonic() < end:
            gevent.sleep(0.005)
        assert (waiting_tasks(loop), threads(loop)) == (1, 1)
        for task in tasks:
            lock.release()
            task.get(timeout=PATIENCE)
        assert waiting_tasks(loop) == 0
    finally:
        pool.kill()


def test_counting_makes_no_thread_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Any = get_hub()
    monkeypatch.setattr(hub, "_threadpool", None)
    assert (waiting_tasks(Loop.current()), threads(Loop.current())) == (0, 0)
    assert hub._threadpool is None


def test_calls_of_other_threads_wait_for_the_hub(count: Count) -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry=registry)
    from geventkws import WebSocketServer

    server = WebSocketServer(("127.0.0.1", 0), metrics=metrics)
    server.start()
    called = allocate_lock()
    called.acquire()

    def call() -> None:
        for _ in range(3):
            server._loop.call_from_thread(lambda: None)
        called.release()

    task = get_hub().threadpool.spawn(call)
    called.acquire()  # in the hub's thread, so that the hub can do nothing meanwhile
    try:
        assert registry.get_sample_value("geventkws_thread_waiting_calls") == 3
        task.get(timeout=PATIENCE)
        gevent.sleep(0.01)
        assert registry.get_sample_value("geventkws_thread_waiting_calls") == 0
    finally:
        server.stop(timeout=1)


def test_the_build_is_shown(count: Count) -> None:
    import platform

    from geventkws import BACKEND

    event_loop = "libuv" if "libuv" in type(get_hub().loop).__module__ else "libev"
    labels = {
        "version": __version__,
        "backend": BACKEND,
        "event_loop": event_loop,
        "gevent": gevent.__version__,
        "python": platform.python_version(),
    }
    assert scrape(count().port).value("build_info", **labels) == 1
