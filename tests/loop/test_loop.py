"""The loop without a socket: who gets which greenlet, what is corked, what threads may call."""

from __future__ import annotations

import contextvars
import gc
import re
import socket
import weakref
from collections.abc import Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any, TypeVar

import gevent
import pytest
from gevent import getcurrent
from gevent.event import AsyncResult, Event
from gevent.hub import Waiter
from gevent.local import local
from greenlet import GreenletExit, greenlet

from geventkws.loop import leaf
from geventkws.loop.channel import Channel
from geventkws.loop.loop import CROWD, SLICE, TURN, Loop
from geventkws.loop.roles import Corked
from tests.helpers import in_hub
from tests.waiting import PATIENCE

Result = TypeVar("Result")


def comes_out(play: Callable[[], Result], result: Result) -> bool:
    """Return whether one of several plays has this result: during others, the processor may be elsewhere."""
    return any(play() == result for _ in range(20))


class Job:
    """A borrower that calls ``function``, and keeps a weak reference to the worker that it was lent."""

    def __init__(self, function: Callable[[], object] = lambda: None) -> None:
        self.function = function
        self.worker: Callable[[], greenlet | None] = lambda: None
        self.result: AsyncResult[object] = AsyncResult()
        self.left: list[object] = []
        """What was reported as having left."""

    def _blocked(self, worker: greenlet) -> None:
        self.left.append(weakref.ref(worker))

    def _work(self) -> None:
        self.worker = weakref.ref(getcurrent())
        try:
            self.result.set(self.function())
        except BaseException as error:
            self.result.set_exception(error)


class Output(Corked):
    """A corked connection that counts its flushes."""

    def __init__(self) -> None:
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1


class Guest:
    """Queues for a turn, writes its name into ``log``, and does something."""

    def __init__(self, log: list[str], name: str, act: Callable[[], object] = lambda: None) -> None:
        self.log = log
        self.name = name
        self.act = act
        self.served = Event()

    def proceed(self) -> None:
        self.log.append(self.name)
        self.act()
        self.served.set()


def burn(seconds: float) -> None:
    """Let time pass without letting anything else run, as a long computation does."""
    end = monotonic() + seconds
    while monotonic() < end:
        pass


def lend(loop: Loop, function: Callable[[], object] = lambda: None) -> Job:
    job = Job(function)
    in_hub(loop.lend, job)
    return job


class TestReuse:
    def test_a_worker_that_finished_without_leaving_is_lent_again(self, loop: Loop) -> None:
        first = lend(loop).worker()
        del first
        jobs = [lend(loop) for _ in range(3)]
        assert jobs[0].worker() is jobs[1].worker() is jobs[2].worker() is not None

    def test_an_idle_worker_keeps_nobody_it_worked_for(self, loop: Loop) -> None:
        for _ in range(2):  # the first of all, too
            job = lend(loop)
            borrower = weakref.ref(job)
            assert job.worker() is not None
            del job
            gc.collect()
            assert borrower() is None

    def test_a_worker_that_blocked_ends_after_its_batch(self, loop: Loop) -> None:
        job = lend(loop, lambda: gevent.sleep(0.01))
        assert job.worker() is not None
        job.result.get(timeout=PATIENCE)
        gevent.sleep(0)
        assert job.worker() is None

    def test_while_one_is_blocked_another_works(self, loop: Loop) -> None:
        release = Event()
        blocked = lend(loop, lambda: release.wait(PATIENCE))
        other = lend(loop)
        assert other.result.ready()
        assert other.worker() is not blocked.worker()
        release.set()
        assert blocked.result.get(timeout=PATIENCE) is True

    def test_a_pending_timeout_does_not_hit_the_next_borrower(self, loop: Loop) -> None:
        pending = lend(loop, lambda: gevent.Timeout.start_new(0.01)).result.get()
        next_one = lend(loop, lambda: gevent.sleep(0.05))
        next_one.result.get(timeout=PATIENCE)
        assert isinstance(pending, gevent.Timeout)
        pending.close()

    def test_a_scheduled_kill_does_not_hit_the_next_borrower(self, loop: Loop) -> None:
        lend(loop, lambda: gevent.kill(getcurrent()))
        next_one = lend(loop, lambda: gevent.sleep(0.05))
        next_one.result.get(timeout=PATIENCE)

    def test_a_scheduled_throw_does_not_hit_the_next_borrower(self, loop: Loop) -> None:
        lend(loop, lambda: loop.hub.loop.run_callback(getcurrent().throw, ValueError("late")))
        next_one = lend(loop, lambda: gevent.sleep(0.05))
        next_one.result.get(timeout=PATIENCE)

    def test_a_link_does_not_wake_the_next_borrower(self, loop: Loop) -> None:
        event = Event()
        lend(loop, lambda: event.rawlink(getcurrent().switch))
        next_one = lend(loop, lambda: gevent.sleep(0.05))
        event.set()
        next_one.result.get(timeout=PATIENCE)

    def test_a_gevent_local_is_not_seen_by_the_next_borrower(self, loop: Loop) -> None:
        user = local()
        lend(loop, lambda: setattr(user, "name", "somebody"))
        assert lend(loop, lambda: getattr(user, "name", "nobody")).result.get() == "nobody"

    def test_a_context_variable_is_not_seen_by_the_next_borrower(self, loop: Loop) -> None:
        user = contextvars.ContextVar("user", default="nobody")
        first = lend(loop, lambda: user.set("somebody"))
        second = lend(loop, user.get)
        assert second.result.get() == "nobody"
        assert first.worker() is second.worker(), "a context is no reason for a new greenlet"

    def test_a_worker_that_somebody_keeps_is_not_lent_again(self, loop: Loop) -> None:
        kept = lend(loop, getcurrent).result.get()
        assert lend(loop).worker() is not kept
        assert isinstance(kept, greenlet)
        assert kept.dead

    def test_a_dead_idle_worker_costs_no_borrower_its_turn(self, loop: Loop) -> None:
        worker = lend(loop).worker()
        assert worker is not None
        in_hub(worker.throw)
        assert worker.dead
        assert lend(loop).result.ready()

    def test_a_switch_into_an_idle_worker_is_ignored(self, loop: Loop) -> None:
        job = lend(loop)
        worker = job.worker()
        assert worker is not None
        for stray in [(), (None,), ("stray",), (job,), (None, job), (object(), job)]:
            job.result = AsyncResult()
            in_hub(worker.switch, *stray)
            assert not job.result.ready()
        del worker
        assert lend(loop).worker() is job.worker()

    def test_a_late_throw_into_a_worker_that_has_ended_hits_nobody(self, loop: Loop) -> None:
        worker = lend(loop, getcurrent).result.get()
        assert isinstance(worker, greenlet)
        assert in_hub(worker.throw, gevent.Timeout()) is None


class TestLending:
    def test_a_borrower_whose_work_is_done_is_told_nothing(self, loop: Loop) -> None:
        assert lend(loop).left == []

    def test_a_borrower_whose_worker_has_left_is_told_which_it_is(self, loop: Loop) -> None:
        release = Event()
        job = lend(loop, lambda: release.wait(PATIENCE))
        assert job.left == [job.worker]
        release.set()
        assert job.result.get(timeout=PATIENCE) is True
        assert len(job.left) == 1

    def test_a_worker_that_has_ended_has_not_left(self, loop: Loop) -> None:
        class Killed(Job):
            def _work(self) -> None:
                raise GreenletExit

        job = Killed()
        in_hub(loop.lend, job)
        assert job.left == []


class TestTurns:
    """Who proceeds when; everything queued in one turn of the hub is queued before the first is served."""

    def serve(self, loop: Loop, *guests: tuple[Guest, bool]) -> None:
        """Queue ``guests`` (each with whether it has news), and wait until the last of them was served."""

        def queue() -> None:
            for guest, fresh in guests:
                loop.queue(guest, fresh)

        in_hub(queue)
        for guest, _ in guests:
            assert guest.served.wait(PATIENCE)

    def test_whoever_waits_longest_is_served_first(self, loop: Loop) -> None:
        log: list[str] = []
        self.serve(loop, *((Guest(log, name), False) for name in "abcde"))
        assert log == list("abcde")

    def test_those_with_news_go_before_all_but_one_of_those_who_wait(self, loop: Loop) -> None:
        def play() -> list[str]:
            log: list[str] = []
            self.serve(
                loop, *((Guest(log, name), name.startswith("new")) for name in ("a", "b", "new", "newer"))
            )
            return log

        assert comes_out(play, ["a", "new", "newer", "b"])

    def test_one_of_those_who_wait_is_served_in_each_slice_though_news_never_end(self, loop: Loop) -> None:
        def play() -> list[str]:
            log: list[str] = []
            waiting = [Guest(log, name) for name in "abc"]

            def come_again() -> None:
                burn(TURN)
                if not waiting[-1].served.is_set():
                    loop.queue(flood, fresh=True)

            flood = Guest(log, "-", come_again)
            self.serve(loop, (flood, True), *((guest, False) for guest in waiting))
            slices = re.findall(r"([abc])(-*)", "".join(log))
            assert all(len(floods) <= SLICE / TURN + 1 for _, floods in slices), "it was one slice"
            return [waited for waited, floods in slices if floods or waited == "c"]

        assert comes_out(play, ["a", "b", "c"])

    def test_the_new_and_the_others_with_news_take_turns(self, loop: Loop) -> None:
        def play() -> list[str]:
            log: list[str] = []
            guests = {name: Guest(log, name) for name in ("new", "newer", "newest", "known", "friend", "b")}

            def queue() -> None:
                for name, guest in guests.items():
                    loop.queue(guest, fresh=name != "b", new="new" in name)

            in_hub(queue)
            for guest in guests.values():
                assert guest.served.wait(PATIENCE)
            return log

        assert comes_out(play, ["b", "known", "new", "friend", "newer", "newest"])

    def test_so_they_do_though_the_others_news_never_end(self, loop: Loop) -> None:
        def play() -> str:
            log: list[str] = []
            new = [Guest(log, name) for name in "abc"]

            def come_again() -> None:
                if not new[-1].served.is_set():
                    loop.queue(flood, fresh=True)

            flood = Guest(log, "-", come_again)

            def queue() -> None:
                loop.queue(flood, fresh=True)
                for guest in new:
                    loop.queue(guest, fresh=True, new=True)

            in_hub(queue)
            assert new[-1].served.wait(PATIENCE)
            return "".join(log).rstrip("-")

        assert comes_out(play, "-a-b-c")

    def test_between_two_slices_the_hub_looks_at_everything_else(self, loop: Loop) -> None:
        log: list[str] = []
        ours, theirs = socket.socketpair()
        polled = Event()

        def come_again() -> None:
            burn(SLICE / 5)
            if not polled.is_set() and len(log) < 1000:
                loop.queue(flood)

        flood = Guest(log, "-", come_again)
        with ours, theirs:
            watcher: Any = loop.hub.loop.io(ours.fileno(), 1)
            watcher.start(polled.set)
            theirs.sendall(b"x")
            loop.queue(flood)
            assert polled.wait(PATIENCE)
            watcher.stop()
            watcher.close()
        assert len(log) <= 5 * 5, "the socket was readable from the beginning"

    def test_what_is_queued_in_a_slice_may_still_be_served_in_it(self, loop: Loop) -> None:
        log: list[str] = []
        second = Guest(log, "second")
        self.serve(loop, (Guest(log, "first", lambda: loop.queue(second)), False))
        assert second.served.wait(PATIENCE)
        assert log == ["first", "second"]

    def test_a_turn_is_over_when_its_time_is(self, loop: Loop) -> None:
        def has_begun() -> bool:
            assert loop.begin_turn()
            return not loop.turn_is_over()

        # Several turns: another program may have the processor during the whole of one.
        assert any(in_hub(has_begun) for _ in range(20))
        burn(TURN)
        assert loop.turn_is_over()

    def test_a_turn_that_is_granted_has_its_own_time(self, loop: Loop) -> None:
        over: list[bool] = []

        def look() -> None:
            over.append(loop.turn_is_over())
            burn(TURN)
            over.append(loop.turn_is_over())

        for _ in range(20):
            self.serve(loop, (Guest([], "first", look), False), (Guest([], "second", look), False))
            assert over[1::2] == [True, True]
            if not any(over[::2]):
                return
            over.clear()
        pytest.fail("the second turn was over when it began")

    def test_turns_that_were_begun_share_the_slice_with_those_that_are_granted(self, loop: Loop) -> None:
        def spend() -> list[bool]:
            begun = []
            for _ in range(2):
                begun.append(loop.begin_turn())
                burn(SLICE / 2)
                loop.end_turn()
            return [*begun, loop.begin_turn()]

        assert in_hub(spend)[::2] == [True, False]
        self.serve(loop, (Guest([], "next"), True))
        assert in_hub(loop.begin_turn), "the next slice has begun"

    def test_a_queue_is_crowded_by_those_who_wait_and_not_by_news(self, loop: Loop) -> None:
        def crowd() -> list[bool]:
            crowded = []
            for index in range(2 * CROWD):
                loop.queue(Guest([], "guest"), fresh=index < CROWD)
                crowded.append(loop.is_crowded())
            return crowded

        assert in_hub(crowd) == [False] * (2 * CROWD - 1) + [True]


class TestAGreenletsTurn:
    def test_it_goes_on_after_those_who_waited_before(self, loop: Loop) -> None:
        log: list[str] = []
        loop.queue(Guest(log, "before"))
        loop.wait_for_turn()
        log.append("greenlet")
        assert log == ["before", "greenlet"]

    def test_it_keeps_its_turn_until_that_is_over(self, loop: Loop) -> None:
        log: list[str] = []

        def keeps() -> bool:
            log.clear()
            guest = Guest(log, "other")
            loop.queue(guest)
            loop.begin_turn()
            loop.take_turn()
            kept = not log
            assert guest.served.wait(PATIENCE)
            return kept

        patience = monotonic() + 5  # on a busy machine, a turn may be over before the test has begun
        while not keeps():
            assert monotonic() < patience

    def test_when_it_is_over_others_have_theirs(self, loop: Loop) -> None:
        log: list[str] = []
        loop.begin_turn()
        burn(TURN)
        loop.queue(Guest(log, "other"))
        loop.take_turn()
        assert log == ["other"]
        assert loop.hub is not getcurrent()

    def test_in_the_hub_which_cannot_wait_nothing_happens(self, loop: Loop) -> None:
        log: list[str] = []
        guest = Guest(log, "other")

        def take_turn() -> list[str]:
            loop.begin_turn()
            burn(TURN)
            loop.queue(guest)
            loop.take_turn()
            return list(log)

        assert in_hub(take_turn) == []
        assert guest.served.wait(PATIENCE)

    def test_one_that_is_killed_while_it_waits_harms_nobody(self, loop: Loop) -> None:
        log: list[str] = []
        last = Guest(log, "last")

        def kill() -> None:
            loop.queue(last)
            gevent.kill(parked)
            burn(SLICE)  # it is dead before the next slice

        loop.queue(Guest(log, "first", kill))
        parked = gevent.spawn(loop.wait_for_turn)
        assert last.served.wait(PATIENCE)
        assert parked.dead
        assert isinstance(parked.value, GreenletExit)
        assert log == ["first", "last"]

    def test_one_that_fails_in_its_turn_is_reported_and_the_next_is_served(
        self, loop: Loop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        errors: list[object] = []
        monkeypatch.setattr(loop.hub, "handle_error", lambda context, kind, *details: errors.append(kind))
        last = Guest([], "last")

        def wait_and_fail() -> None:
            loop.wait_for_turn()
            raise RuntimeError("oops")

        def queue() -> None:
            greenlet(wait_and_fail, parent=loop.hub).switch()
            loop.queue(last)

        in_hub(queue)
        assert last.served.wait(PATIENCE)
        assert errors == [RuntimeError]
        assert not loop.corking

    def test_what_it_sends_waits_for_the_end_of_the_slice(self, loop: Loop) -> None:
        def play() -> list[int]:
            output = Output()
            flushes: list[int] = []
            after = Guest([], "after", lambda: flushes.append(output.flushes))

            def wait_and_send() -> None:
                loop.queue(after)
                loop.wait_for_turn()
                assert loop.corking
                loop.cork(output)
                loop.queue(after)
                after.served.clear()

            sender = gevent.spawn(wait_and_send)
            sender.get(timeout=PATIENCE)
            assert after.served.wait(PATIENCE)
            gevent.sleep(0)
            assert output.flushes == 1
            return flushes

        assert comes_out(play, [0, 0])


class TestCorking:
    def test_what_a_batch_sends_waits_for_its_end(self, loop: Loop) -> None:
        output = Output()

        def readable() -> int:
            loop.lend(Job(lambda: loop.cork(output)))
            before = output.flushes
            loop.flush()
            return before

        assert in_hub(readable) == 0
        assert output.flushes == 1
        gevent.sleep(0.01)
        assert output.flushes == 1, "the batch's own flush was enough"

    def test_what_a_batch_sent_before_it_blocked_leaves_when_it_blocks(self, loop: Loop) -> None:
        output, release = Output(), Event()

        def send_and_wait() -> None:
            loop.cork(output)
            release.wait(PATIENCE)

        def readable() -> None:
            loop.lend(Job(send_and_wait))
            loop.flush()

        in_hub(readable)
        assert output.flushes == 1
        release.set()

    def test_outside_a_batch_it_leaves_in_the_next_turn_at_once_for_all(self, loop: Loop) -> None:
        outputs = [Output(), Output()]
        for output in outputs:
            loop.cork(output)
        assert [output.flushes for output in outputs] == [0, 0]
        gevent.sleep(0)
        gevent.sleep(0)
        assert [output.flushes for output in outputs] == [1, 1]

    def test_a_worker_resumed_by_others_is_outside_a_batch(self, loop: Loop) -> None:
        output = Output()

        def sleep_and_send() -> None:
            gevent.sleep(0.01)
            loop.cork(output)
            gevent.sleep(0.05)

        job = lend(loop, sleep_and_send)
        with gevent.Timeout(PATIENCE):
            while not output.flushes:
                gevent.sleep(0.005)
        assert not job.result.ready()

    def test_a_resumed_greenlet_is_in_a_batch_until_it_waits_again(self, loop: Loop) -> None:
        output, later = Output(), Output()
        waiter: Waiter[None] = Waiter()

        def send_when_resumed() -> None:
            waiter.get()
            loop.cork(output)
            gevent.sleep(0.05)

        sender = gevent.spawn(send_when_resumed)
        gevent.sleep(0)
        in_hub(loop.resume, waiter)
        assert output.flushes == 0
        in_hub(loop.flush)
        assert output.flushes == 1
        loop.cork(later)
        gevent.sleep(0.01)
        assert later.flushes == 1, "the resumed greenlet has blocked: the batch is over"
        sender.join(PATIENCE)

    def test_a_flush_that_corks_again_is_flushed_again(self, loop: Loop) -> None:
        output, second = Output(), Output()
        output.flush = lambda: loop.cork(second)  # type: ignore[method-assign]
        loop.cork(output)
        loop.flush()
        assert second.flushes == 1


class TestCallsFromThreads:
    def test_they_run_in_the_hub_in_the_order_of_each_thread(self, loop: Loop) -> None:
        calls: list[tuple[int, int]] = []
        places: set[object] = set()

        def take(thread: int, index: int) -> None:
            calls.append((thread, index))
            places.add(getcurrent())

        def call(thread: int) -> bool:
            taken = [loop.call_from_thread(take, thread, index) for index in range(500)]
            return all(taken)

        pool = gevent.get_hub().threadpool
        assert all(pool.map(call, range(4)))
        with gevent.Timeout(PATIENCE):
            while len(calls) < 2000:
                gevent.sleep(0.005)
        assert places == {gevent.get_hub()}
        for thread in range(4):
            assert [index for each, index in calls if each == thread] == list(range(500))

    def test_one_that_fails_is_reported_and_the_next_one_runs(
        self, loop: Loop, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fail() -> None:
            raise RuntimeError("oops")

        done = Event()

        def call() -> None:
            loop.call_from_thread(fail)
            loop.call_from_thread(done.set)

        gevent.get_hub().threadpool.apply(call)
        assert done.wait(PATIENCE)
        gevent.sleep(0.01)
        assert "RuntimeError: oops" in capsys.readouterr().err

    def test_endless_calls_leave_the_hub_time_foreverything_else(self, loop: Loop) -> None:
        """Each call queues the next one, as a thread would that is always faster than the hub."""
        stop: list[bool] = []
        count: list[int] = []

        def call_again() -> None:
            count.append(1)
            if not stop:
                loop.call_from_thread(call_again)

        loop.call_from_thread(call_again)
        with gevent.Timeout(PATIENCE):
            gevent.sleep(0.02)
        stop.append(True)
        assert len(count) > 1

    def test_a_frame_loop_does_not_keep_its_hub_running(self) -> None:
        def run() -> bool:
            Loop.current()
            ended = gevent.get_hub().join(timeout=PATIENCE)
            return bool(ended)

        assert gevent.get_hub().threadpool.apply(run) is True

    def test_nor_does_its_queue_when_all_have_been_served(self) -> None:
        def run() -> bool:
            loop = Loop.current()
            guest = Guest([], "guest")
            loop.queue(guest)
            assert guest.served.wait(PATIENCE)
            ended = gevent.get_hub().join(timeout=PATIENCE)
            return bool(ended)

        assert gevent.get_hub().threadpool.apply(run) is True

    def test_after_the_hub_is_gone_nothing_is_taken(self) -> None:
        def run() -> Loop:
            loop = Loop.current()
            assert not loop.is_foreign_thread()
            gevent.get_hub().destroy(destroy_loop=True)
            return loop

        loop = gevent.get_hub().threadpool.apply(run)
        assert loop.call_from_thread(print) is False
        assert loop.call_from_thread(print) is False
        del loop
        gc.collect()

    def test_each_thread_knows_its_own_loop(self) -> None:
        loop = Loop.current()
        assert Loop.current() is loop
        assert not loop.is_foreign_thread()
        assert gevent.get_hub().threadpool.apply(loop.is_foreign_thread) is True
        assert gevent.get_hub().threadpool.apply(leaf.thread_id) != leaf.thread_id()


class TestMistakes:
    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    def test_what_ends_the_program_is_given_to_the_hub_which_ends_it(
        self, loop: Loop, kind: type[BaseException]
    ) -> None:
        def fail() -> None:
            raise kind

        loop.hub.loop.run_callback(loop.guard, fail)
        with pytest.raises(kind):
            gevent.sleep(5)

    def test_the_hub_reports_the_rest(self, loop: Loop, capsys: pytest.CaptureFixture[str]) -> None:
        in_hub(loop.guard, lambda: 1 / 0)
        gevent.sleep(0.01)
        assert "ZeroDivisionError" in capsys.readouterr().err


class TestTeardown:
    def test_watchers_are_stopped_and_closed_before_the_descriptor(self) -> None:
        """In the other order, a watcher would watch whatever file gets the descriptor's number next."""
        order: list[str] = []

        class Watcher:
            def __init__(self, name: str) -> None:
                self.name = name

            def start(self, callback: object, **options: object) -> None:
                order.append(f"start {self.name}")

            def stop(self) -> None:
                order.append(f"stop {self.name}")

            def close(self) -> None:
                order.append(f"close {self.name}")

        transport: Any = SimpleNamespace(
            fileno=lambda: 99,
            close=lambda: order.append("close descriptor"),
        )
        names = {1: "reader", 2: "writer"}
        hub: Any = SimpleNamespace(
            loop=SimpleNamespace(
                io=lambda fd, events: Watcher(names[events]), async_=lambda ref: Watcher("async")
            )
        )
        channel = Channel(Loop(hub), transport)
        channel.start_reading()
        channel.await_room()
        channel.release()
        assert order == [
            *("start async", "start async", "start reader", "start writer"),
            *("stop writer", "close writer", "stop reader", "close reader"),
            "close descriptor",
        ]
