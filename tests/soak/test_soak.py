"""A short soak finds nothing, and what a long one may find is noticed. CONTRIBUTING.md tells of those."""

from __future__ import annotations

import os
import re
import ssl
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic

import gevent
import pytest

from tests.hostile.server import burn
from tests.programs import Program
from tests.soak.crowd import Crowd
from tests.soak.health import FLAT, gauged, growth, remains, tracebacks
from tests.soak.link import HOST
from tests.soak.punctuality import (
    Punctuality,
    Starvation,
    duration,
    lateness,
    look_up_at_once,
    waited_for_cpu,
)
from tests.soak.tally import Delay, Order, Tally
from tests.waiting import LONG, wait_until

SECONDS = 20

IDLE = {**dict.fromkeys(FLAT, 100.0), "present": 0, "unmatched": 0}


def counted(tally: Tally) -> tuple[int, int, int]:
    return tally.lost, tally.doubled, tally.disorder


def ordered(numbers: list[int], end: int, lossless: bool = True) -> Tally:
    tally = Tally()
    order = Order(tally)
    for number in numbers:
        order.take(number)
    order.finish(end, lossless)
    assert order.taken == tally.messages == len(numbers)
    return tally


# While it waits for a process, gevent's subprocess sets timers shorter than libuv supports.
@pytest.mark.filterwarnings("ignore:libuv only supports millisecond timer:UserWarning")
@pytest.mark.alone
@pytest.mark.once
def test_a_short_soak_finds_nothing(tmp_path: Path) -> None:
    options = (f"--minutes={SECONDS / 60}", "--clients=400", "--seed=7", f"--log={tmp_path / 'log'}")
    with Program(sys.executable, "-m", "tests.soak", *options) as soak:
        assert soak.ends_within(SECONDS + LONG), soak.output
        assert soak.wait() == 0, soak.output
    assert "nothing is wrong" in soak.output
    assert re.search(r"Redis was killed [1-9]|channels were left out", soak.output)
    assert re.search(r"reloaded [1-9]", soak.output)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([0, 1, 2, 3], (0, 0, 0)),
        ([0, 1, 3], (1, 0, 0)),
        ([0, 1, 2], (1, 0, 0)),
        ([], (4, 0, 0)),
        ([0, 1, 1, 2, 3], (0, 1, 0)),
        ([0, 2, 1, 3], (0, 0, 1)),
        ([0, 2, 1, 1, 3], (0, 1, 1)),
    ],
)
def test_what_is_lost_doubled_or_out_of_order_is_counted(
    numbers: list[int], found: tuple[int, int, int]
) -> None:
    assert counted(ordered(numbers, 4)) == found


def test_a_link_that_loses_bytes_excuses_the_end_but_no_gap() -> None:
    assert counted(ordered([0, 1], 4, lossless=False)) == (0, 0, 0)
    assert counted(ordered([0, 2], 4, lossless=False)) == (1, 0, 0)


def test_an_error_is_no_loss_as_well_but_a_gap_is() -> None:
    tally = Tally()
    order = Order(tally)
    order.take(1)
    with suppress(TimeoutError), order.finished(lambda: 4, lossless=True):
        raise TimeoutError
    assert counted(tally) == (1, 0, 0)
    with Order(tally).finished(lambda: 4, lossless=True):
        pass
    assert counted(tally) == (5, 0, 0)


def test_the_percentiles_are_waits() -> None:
    tally = Tally()
    assert tally.percentile(1) == 0
    tally.waits.extend(range(100, 0, -1))
    assert (tally.percentile(0.5), tally.percentile(1)) == (51, 100)


def test_something_that_fails_is_a_complaint_and_not_the_end() -> None:
    tally = Tally()

    def fail(until: float) -> str:
        raise TimeoutError(until)

    def out_of_time(until: float) -> str:
        raise gevent.Timeout  # without a timer, which would have to be closed

    assert tally.attempt(str, 1.5) == "1.5"
    assert not tally.complaints
    assert tally.attempt(fail, 1.5) == ""
    assert tally.attempt(out_of_time, 1.5) == ""
    assert [re.split(r"[( ]", each)[1] for each in tally.complaints] == ["TimeoutError", "<Timeout"]


@pytest.mark.parametrize("size", [256, 2000])
def test_a_crowd_has_every_kind_of_client(size: int) -> None:
    crowd = Crowd(size, 7, {}, {}, ssl.create_default_context())
    assert {crowd._kind(number).__name__ for number in range(size)} == set(crowd.tallies)


def test_a_loop_that_is_held_up_is_late_meanwhile() -> None:
    punctuality = Punctuality()
    gevent.sleep(0)
    began = monotonic()
    burn(0.5)
    wait_until(lambda: punctuality.late)
    punctuality.stop()
    assert lateness(punctuality.late, began, monotonic()) >= 0.3


BURN = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
print("here", flush=True)
while True:
    pass
"""


def test_of_two_processes_on_one_cpu_one_waits() -> None:
    with Program(sys.executable, "-c", BURN) as one, Program(sys.executable, "-c", BURN) as other:
        for each in (one, other):
            each.expect("here")
        starvation = Starvation(one.pid)
        began = monotonic()
        wait_until(lambda: duration(starvation.late) > 0.1)
        starvation.stop()
        assert lateness(starvation.late, began, monotonic()) > 0


def test_a_process_that_the_kernel_does_not_tell_of_has_not_waited() -> None:
    assert waited_for_cpu(-1) == 0


def test_addresses_are_looked_up_without_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gevent.config, "resolver", gevent.config.resolver)  # is put back

    def threads_of_a_lookup() -> int:
        hub = gevent.get_hub()  # one that has not looked up anything yet
        try:
            assert hub.resolver.getaddrinfo(HOST, 80)
            return int(hub.threadpool.size)
        finally:
            hub.destroy(destroy_loop=True)

    look_up_at_once()
    assert gevent.get_hub().threadpool.apply(threads_of_a_lookup) == 0


def test_a_delay_is_excused_by_others_who_were_late_meanwhile() -> None:
    late = [(0.0, 2.0), (5.0, 7.0), (9.0, 20.0)]
    assert lateness(late, 1, 10) == 4
    assert not Delay("", 1, 10, excuse=4).holds(late)
    assert Delay("", 1, 10, excuse=4.1).holds(late)
    assert Delay("", 2, 5, excuse=0.1).holds(late)


@pytest.mark.parametrize("name", FLAT)
def test_growth_is_noticed_in_the_second_half_alone(name: str) -> None:
    step = 2 * FLAT[name]
    early = [{**IDLE, name: each * step} for each in (0, 1, 2, 2, 2, 2, 2, 2)]
    late = [{**IDLE, name: each * step} for each in range(8)]
    assert not list(growth(early))
    assert [found.split()[2] for found in growth(late)] == [name]
    assert not list(growth(late[:1]))


@pytest.mark.parametrize("grows", [True, False])
def test_a_process_that_grows_is_noticed(grows: bool) -> None:
    complaints: list[str] = []
    with ExitStack() as stack, gauged({"test": os.getpid()}, complaints, pause=0):
        for _ in range(600):
            if grows:
                stack.callback(os.close, os.dup(0))
            gevent.sleep(0)
    assert [found.split(" from ")[0] for found in complaints] == ["the test's descriptors grew"] * grows


@pytest.mark.parametrize("name", ["descriptors", "greenlets", "watchers", "present", "unmatched"])
def test_what_remains_is_noticed(name: str) -> None:
    assert not list(remains(IDLE, IDLE))
    assert len(list(remains(IDLE, {**IDLE, name: IDLE[name] + 10}))) == 1


def test_a_traceback_is_noticed_unless_mischief_explains_it() -> None:
    log = 'before\nTraceback (most recent call last):\n  File "a", line 1, in b\n    c()\n\n{}\nafter\n'
    assert not list(tracebacks(log.format("Mischief") + log.format("gevent.timeout.Timeout: 0.01 seconds")))
    assert list(tracebacks(log.format("KeyError: 1"))) == ["the server logged KeyError: 1"]
