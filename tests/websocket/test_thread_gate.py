"""The gate at which native threads wait for room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.threadpool import ThreadPool

from geventkws.websocket.thread_gate import CALL_SIZE, ThreadGate
from tests.waiting import PATIENCE


class Connection:
    """What a gate asks about: the room left below the limit, and whether the connection is open."""

    def __init__(self, room: int) -> None:
        self.gate = ThreadGate()
        self.room = room
        self.open = True

    def enter(self, size: int) -> bool:
        return self.gate.enter(size, lambda: self.open, lambda: self.room)

    def enter_or_shut(self, size: int) -> bool | None:
        return self.gate.enter_or_shut(size, lambda: self.open, lambda: self.room)


@pytest.fixture
def threads() -> Iterator[ThreadPool]:
    """Real threads, on which gevent's patches have no effect."""
    pool = ThreadPool(8)
    yield pool
    pool.kill()


def waiting(*threads: Any) -> bool:
    """Return whether all of these are still waiting after a while."""
    gevent.sleep(0.03)
    return not any(thread.ready() for thread in threads)


def test_with_room_nobody_waits() -> None:
    connection = Connection(1000)
    assert connection.enter(10)
    assert connection.enter(10)


def test_a_message_larger_than_the_room_enters_if_there_is_any() -> None:
    assert Connection(1).enter(1_000_000)


def test_a_thread_waits_while_others_messages_are_queued_and_enters_when_they_have_left(
    threads: ThreadPool,
) -> None:
    connection = Connection(1000)
    assert connection.enter(1000)
    thread = threads.spawn(connection.enter, 1)
    assert waiting(thread)
    connection.gate.leave(1000)
    connection.gate.open()
    assert thread.get(timeout=PATIENCE) is True


def test_it_looks_again_and_waits_again_when_there_is_no_room_yet(threads: ThreadPool) -> None:
    connection = Connection(0)
    thread = threads.spawn(connection.enter, 1)
    for _ in range(3):
        assert waiting(thread)
        connection.gate.open()
    assert waiting(thread)
    connection.room = 1
    connection.gate.open()
    assert thread.get(timeout=PATIENCE) is True


def test_all_who_wait_are_let_go_with_false_when_the_connection_has_ended(threads: ThreadPool) -> None:
    connection = Connection(0)
    waiters = [threads.spawn(connection.enter, 1) for _ in range(4)]
    assert waiting(*waiters)
    connection.open = False
    connection.gate.open()
    assert [waiter.get(timeout=PATIENCE) for waiter in waiters] == [False] * 4


def test_after_the_end_nobody_enters() -> None:
    connection = Connection(1000)
    connection.open = False
    assert not connection.enter(1)


def test_as_many_enter_as_there_is_room_for(threads: ThreadPool) -> None:
    connection = Connection(0)
    waiters = [threads.spawn(connection.enter, 100) for _ in range(4)]
    assert waiting(*waiters)
    connection.room = 101 + CALL_SIZE
    connection.gate.open()
    gevent.sleep(0.05)
    assert sorted(waiter.ready() for waiter in waiters) == [False, False, True, True]
    connection.open = False
    connection.gate.open()
    assert [waiter.get(timeout=PATIENCE) for waiter in waiters].count(True) == 2


def test_small_messages_are_not_free() -> None:
    connection = Connection(10 * CALL_SIZE)
    for _ in range(10):
        assert connection.enter(0)
    connection.open = False
    assert not connection.enter(0), "the eleventh would have waited"


def test_a_caller_that_must_not_wait_shuts_the_gate_for_all(threads: ThreadPool) -> None:
    connection = Connection(100)
    assert connection.enter_or_shut(100) is True
    thread = threads.spawn(connection.enter, 1)
    assert waiting(thread)
    assert connection.enter_or_shut(1) is None, "there is no room, and this caller is told first"
    assert thread.get(timeout=PATIENCE) is False
    connection.gate.leave(100)
    assert connection.enter_or_shut(1) is False
    assert connection.enter(1) is False


def test_a_caller_that_must_not_wait_does_not_shut_what_has_ended() -> None:
    connection = Connection(0)
    connection.open = False
    assert connection.enter_or_shut(1) is False


def test_no_wake_up_is_lost_between_looking_and_waiting(threads: ThreadPool) -> None:
    """Threads enter and leave in turn as fast as they can; a lost wake-up would leave them waiting."""
    connection = Connection(1)

    def enter_and_leave() -> int:
        for _ in range(300):
            assert connection.enter(1)
            connection.gate.leave(1)
            connection.gate.open()
        return 300

    results = [threads.spawn(enter_and_leave) for _ in range(4)]
    assert [result.get(timeout=PATIENCE) for result in results] == [300] * 4
