"""The greenlets that are lent: what they do with a loan, and how they know whose it is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import getcurrent
from gevent.event import Event
from greenlet import GreenletExit, greenlet

from geventkws.loop.workers import DONE, LOAN, RETIRE, Borrower, Idler, Worker, borrower_at_work, is_away
from tests.waiting import PATIENCE


class Job:
    """A borrower that calls ``function``."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self.results: list[object] = []

    def _work(self) -> None:
        self.results.append(self._function())

    def _blocked(self, worker: greenlet) -> None:
        """Never called: here, no loop lends it a worker."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker of the calling greenlet, which stands for the hub; it waits for its first loan."""
    worker = Worker(parent=getcurrent())
    worker.switch()
    yield worker
    if not worker.dead:
        worker.throw(GreenletExit)


def test_a_worker_does_one_job_after_another_and_says_when_it_is_done(worker: Worker) -> None:
    jobs = [Job(getcurrent), Job(getcurrent)]
    for job in jobs:
        assert worker.switch(LOAN, job) is DONE
        assert job.results == [worker]
    assert not worker.dead


def test_it_retires(worker: Worker) -> None:
    worker.switch(LOAN, Idler())
    worker.switch(RETIRE)
    assert worker.dead


@pytest.mark.parametrize("arguments", [(), (None,), ("loan", Idler()), (LOAN,), (object(), Idler())])
def test_a_switch_that_is_not_a_loan_is_ignored(worker: Worker, arguments: tuple[object, ...]) -> None:
    worker.switch(LOAN, Idler())
    assert worker.switch(*arguments) is None
    job = Job(lambda: "done")
    assert worker.switch(LOAN, job) is DONE
    assert job.results == ["done"]


def test_it_keeps_nothing_of_a_job_that_is_done(worker: Worker) -> None:
    job = Job(lambda: None)
    reference = weakref.ref(job)
    worker.switch(LOAN, job)
    del job
    gc.collect()
    assert reference() is None


def test_one_that_went_away_ends_with_its_batch(worker: Worker) -> None:
    worker.away = True
    worker.switch(LOAN, Idler())
    assert worker.dead


def test_a_late_timeout_hits_nobody(worker: Worker) -> None:
    worker.away = True
    worker.switch(LOAN, Idler())
    assert worker.throw(gevent.Timeout()) is None


def test_a_worker_is_away_once_the_hub_has_said_so_and_another_greenlet_always(worker: Worker) -> None:
    assert is_away()
    job = Job(is_away)
    worker.switch(LOAN, job)

    def leave() -> bool:
        worker.away = True
        return is_away()

    away = Job(leave)
    worker.switch(LOAN, away)
    assert [job.results, away.results] == [[False], [True]]


class TestWhoseWorkItIs:
    def test_is_known_however_deep_the_call_is(self, worker: Worker) -> None:
        def deep(levels: int) -> Borrower | None:
            return deep(levels - 1) if levels else borrower_at_work()

        job = Job(lambda: deep(20))
        worker.switch(LOAN, job)
        assert job.results == [job]

    def test_is_none_in_a_greenlet_of_ones_own(self) -> None:
        assert borrower_at_work() is None
        assert gevent.spawn(borrower_at_work).get(timeout=PATIENCE) is None

    def test_is_not_that_of_another_worker_which_waits(self) -> None:
        go_on = Event()
        waiting = Worker(parent=gevent.get_hub())
        job = Job(go_on.wait)
        gevent.get_hub().loop.run_callback(waiting.switch, LOAN, job)
        gevent.sleep(0)
        waiting.away = True
        assert borrower_at_work() is None
        go_on.set()
        gevent.sleep(0)
        assert waiting.dead
