"""A channel between a socket and an owner that does what the test wants: turns, watchers, errors, the end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult
from gevent.queue import Queue

from geventkws.loop import roles
from geventkws.loop.channel import BYTES_READ, Channel
from geventkws.loop.loop import CROWD, CROWDED_READ, SLICE, Loop
from geventkws.net.transport import PlainTransport
from tests.waiting import PATIENCE

Call = tuple[Any, ...]


class Owner(roles.Owner):
    """Does what the test gave it to do, and records in ``calls`` what the channel asks."""

    def __init__(self, channel: Channel, **acts: Callable[[], object]) -> None:
        self.calls: Queue[Call] = Queue()
        self.acts = acts
        self._channel = channel
        channel.owner = self

    def _act(self, name: str) -> None:
        if name in self.acts:
            self.acts[name]()

    def _readable(self) -> bool:
        data = self._channel.recv()
        self.calls.put(("readable", data))
        self._act("readable")
        return bool(data)

    def _proceed(self) -> None:
        self.calls.put(("proceed",))
        self._act("proceed")

    def _flush(self) -> None:
        self.calls.put(("flush",))
        self._act("flush")

    def _crashed(self, error: BaseException) -> None:
        self.calls.put(("crashed", type(error)))

    def expect(self, *calls: Call) -> None:
        """Wait for the next calls, which must be these."""
        assert [self.calls.get(timeout=PATIENCE) for _ in calls] == list(calls)

    def expect_readable(self, data: bytes) -> None:
        """Wait until it has received ``data``; on a busy machine, the channel has to ask for a turn first."""
        call = self.calls.get(timeout=PATIENCE)
        if call == ("proceed",):
            call = self.calls.get(timeout=PATIENCE)
        assert call == ("readable", data)

    def told(self) -> list[Call]:
        """Return the calls so far that were not expected."""
        return [self.calls.get_nowait() for _ in range(self.calls.qsize())]


def burn_a_slice() -> None:
    end = monotonic() + SLICE
    while monotonic() < end:
        pass


class Line:
    """A channel and the peer's socket."""

    def __init__(self, loop: Loop) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.loop = loop
        self.channel = Channel(self.loop, PlainTransport(ours.detach()))

    def owner(self, **acts: Callable[[], object]) -> Owner:
        """Give the channel an owner."""
        return Owner(self.channel, **acts)

    def in_hub(self, *functions: Callable[[], object]) -> None:
        """Call ``functions`` one after another in one turn of the hub, as watchers would."""
        outcome: AsyncResult[None] = AsyncResult()

        def call() -> None:
            try:
                for function in functions:
                    function()
                outcome.set(None)
            except BaseException as error:
                outcome.set_exception(error)

        self.loop.hub.loop.run_callback(call)
        outcome.get(timeout=PATIENCE)

    def spend_the_slice(self) -> None:
        """Use up the slice, so that nobody else has time until the next one."""
        self.loop.begin_turn()
        burn_a_slice()
        self.loop.end_turn()

    def close(self) -> None:
        self.channel.release()
        self.peer.close()


@pytest.fixture
def line(loop: Loop) -> Iterator[Line]:
    line = Line(loop)
    yield line
    line.close()


@pytest.fixture
def other(line: Line) -> Iterator[Line]:
    """A second connection on the same hub."""
    other = Line(line.loop)
    yield other
    other.close()


class TestReading:
    def test_the_owner_is_told_of_what_arrives_and_of_the_end(self, line: Line) -> None:
        owner = line.owner()
        line.channel.start_reading()
        line.peer.sendall(b"hello")
        owner.expect_readable(b"hello")
        line.peer.close()
        owner.expect_readable(b"")

    def test_what_comes_with_the_connection_is_received_at_once(self, line: Line) -> None:
        owner = line.owner()
        line.peer.sendall(b"hello")
        line.in_hub(line.channel.begin_reading)
        assert owner.told() == [("readable", b"hello")]
        line.peer.sendall(b"more")
        owner.expect_readable(b"more")

    def test_a_connection_that_ends_at_once_needs_no_watcher(self, line: Line) -> None:
        owner = line.owner(readable=line.channel.release)
        line.in_hub(line.channel.begin_reading)
        assert owner.told() == [("readable", None)]
        assert line.channel._reader is None

    def test_one_that_is_paused_at_once_is_watched_when_it_reads_again(self, line: Line) -> None:
        owner = line.owner(readable=line.channel.pause)
        line.in_hub(line.channel.begin_reading)
        assert owner.told() == [("readable", None)]
        line.peer.sendall(b"later")
        gevent.sleep(0.02)
        assert owner.told() == []
        line.channel.resume()
        owner.expect_readable(b"later")

    def test_while_another_waits_for_its_turn_what_has_come_waits_as_well(
        self, line: Line, other: Line
    ) -> None:
        owner = line.owner()
        other.owner()
        line.peer.sendall(b"hello")

        def told_at_once() -> None:
            line.channel.begin_reading()
            assert owner.told() == []

        line.in_hub(other.channel.queue, told_at_once)
        owner.expect_readable(b"hello")

    def test_outside_the_hub_what_has_come_waits_for_the_hub(self, line: Line) -> None:
        owner = line.owner()
        line.peer.sendall(b"hello")
        line.channel.begin_reading()
        assert owner.told() == []
        owner.expect_readable(b"hello")

    def test_it_gets_none_if_there_is_nothing_to_read(self, line: Line) -> None:
        assert line.channel.recv() is None

    def test_a_lost_connection_is_an_error(self, line: Line) -> None:
        line.channel.release()
        with pytest.raises(OSError, match="descriptor"):
            line.channel.recv()

    def test_while_it_is_paused_what_arrives_stays_in_the_kernel(self, line: Line) -> None:
        owner = line.owner()
        line.channel.start_reading()
        line.channel.pause()
        assert not line.channel.is_reading
        line.peer.sendall(b"later")
        gevent.sleep(0.02)
        assert owner.told() == []
        line.channel.resume()
        assert line.channel.is_reading
        owner.expect_readable(b"later")

    def test_a_second_pause_changes_nothing(self, line: Line) -> None:
        line.owner()
        line.channel.start_reading()
        line.channel.pause()
        since = line.channel.paused_at
        assert since is not None
        line.channel.pause()
        assert line.channel.paused_at == since

    def test_a_resume_without_a_pause_changes_nothing(self, line: Line) -> None:
        owner = line.owner()
        line.channel.start_reading()
        line.channel.resume()
        line.peer.sendall(b"x")
        owner.expect_readable(b"x")
        gevent.sleep(0.01)
        assert owner.told() == []

    def test_after_the_end_there_is_nothing_to_pause(self, line: Line) -> None:
        line.owner()
        line.channel.start_reading()
        line.channel.release()
        line.channel.pause()
        line.channel.resume()
        assert line.channel.paused_at is None
        assert not line.channel.is_reading

    def test_in_a_crowd_each_reads_little_at_once(self, line: Line) -> None:
        line.peer.sendall(bytes(BYTES_READ + 2 * CROWDED_READ))
        sizes = []

        def receive() -> None:
            sizes.append(len(line.channel.recv() or b""))

        crowd = [Line(line.loop) for _ in range(CROWD)]
        owners = [each.owner() for each in crowd]
        line.in_hub(receive, *(each.channel.queue for each in crowd), receive)
        owners[-1].expect(("proceed",))
        for each in crowd:
            each.close()
        assert sizes == [BYTES_READ, CROWDED_READ]


class TestTurns:
    def test_a_read_for_which_no_time_is_left_is_made_up_for_in_the_connections_turn(
        self, line: Line
    ) -> None:
        owner = line.owner()
        line.peer.sendall(b"hello")
        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel)
        assert line.channel.is_queued
        assert owner.told() == []
        line.in_hub(line.channel.proceed)
        assert owner.told()[:2] == [("proceed",), ("readable", b"hello")]

    def test_there_is_none_after_one_that_took_the_whole_slice(self, line: Line) -> None:
        owner = line.owner(readable=burn_a_slice)
        line.peer.sendall(b"1")
        line.in_hub(line.channel.start_reading, line.channel, line.channel)
        assert owner.told()[:1] == [("readable", b"1")]
        owner.expect(("proceed",), ("readable", None))

    def test_it_is_made_up_for_once(self, line: Line) -> None:
        owner = line.owner()
        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel)
        line.in_hub(line.channel.proceed, line.channel.proceed)
        assert [call for call in owner.told() if call[0] == "readable"] == [("readable", None)]

    def test_until_then_it_is_reported_twice_at_most(self, line: Line) -> None:
        owner = line.owner()
        line.peer.sendall(b"hello")
        watched: list[bool] = []

        def look() -> None:
            watched.append(line.channel._reader.active)

        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel, look, line.channel, look)
        assert watched == [True, False]
        owner.expect(("proceed",), ("readable", b"hello"))
        line.peer.sendall(b"again")
        owner.expect_readable(b"again")

    def test_one_that_is_paused_meanwhile_is_watched_when_it_goes_on(self, line: Line) -> None:
        owner = line.owner(proceed=line.channel.pause)
        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel, line.channel)
        owner.expect(("proceed",))
        assert not line.channel._reader.active
        line.peer.sendall(b"hello")
        line.in_hub(line.channel.resume)
        owner.expect_readable(b"hello")

    def test_it_goes_before_those_without_news(self, line: Line, other: Line) -> None:
        third = Line(line.loop)
        order: list[Line] = []
        for each in (line, other):
            each.owner(proceed=lambda each=each: order.append(each))  # type: ignore[misc]
        last = third.owner(proceed=lambda: order.append(third))
        line.channel.start_reading()
        line.in_hub(line.spend_the_slice, other.channel.queue, third.channel.queue, line.channel)
        last.expect(("proceed",))
        assert order == [other, line, third]
        third.close()

    def test_while_it_is_paused_nothing_is_made_up_for(self, line: Line) -> None:
        owner = line.owner()
        line.peer.sendall(b"hello")
        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel, line.channel.pause)
        line.in_hub(line.channel.proceed)
        gevent.sleep(0.01)
        assert ("readable", b"hello") not in owner.told()
        line.channel.resume()
        owner.expect_readable(b"hello")

    def test_an_owner_that_has_not_come_to_its_end_is_given_no_more(self, line: Line) -> None:
        owner = line.owner(proceed=line.channel.queue)
        line.peer.sendall(b"hello")
        told: list[Call] = []
        line.in_hub(
            line.channel.start_reading,
            line.spend_the_slice,
            line.channel,
            line.channel.proceed,
            lambda: told.extend(owner.told()),
            owner.acts.clear,
        )
        assert told == [("proceed",)]
        owner.expect(("proceed",))

    def test_it_is_in_the_queue_once(self, line: Line) -> None:
        owner = line.owner()
        line.in_hub(line.channel.queue, line.channel.queue, lambda: line.channel.queue(fresh=True))
        owner.expect(("proceed",))
        gevent.sleep(0.01)
        assert owner.told() == []
        assert not line.channel.is_queued

    def test_what_is_queued_when_its_connection_ends_harms_nobody(self, line: Line) -> None:
        owner = line.owner()
        line.in_hub(line.spend_the_slice, line.channel.start_reading, line.channel, line.channel.release)
        owner.expect(("proceed",))
        gevent.sleep(0.01)
        assert owner.told() == []


class TestTheOwner:
    def test_another_may_take_its_place_while_it_reads(self, line: Line) -> None:
        second = Owner(line.channel)
        first = line.owner(readable=lambda: setattr(line.channel, "owner", second))
        line.channel.start_reading()
        line.peer.sendall(b"1")
        first.expect_readable(b"1")
        line.peer.sendall(b"2")
        second.expect_readable(b"2")
        assert first.told() == []

    def test_what_was_not_read_yet_is_read_by_the_one_that_took_its_place(self, line: Line) -> None:
        second = Owner(line.channel)
        first = line.owner(proceed=lambda: setattr(line.channel, "owner", second))
        line.peer.sendall(b"hello")
        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel, line.channel.proceed)
        assert first.told() == [("proceed",)]
        second.expect_readable(b"hello")

    def test_what_was_corked_is_flushed_by_the_one_that_took_its_place(self, line: Line) -> None:
        second = Owner(line.channel)

        def hand_over() -> None:
            line.channel.cork()
            line.channel.owner = second

        first = line.owner(readable=hand_over)
        line.channel.start_reading()
        line.peer.sendall(b"1")
        first.expect_readable(b"1")
        second.expect(("flush",))
        assert first.told() == []

    def test_an_error_is_given_to_the_owner_of_that_moment(self, line: Line) -> None:
        second = Owner(line.channel)

        def hand_over_and_fail() -> None:
            line.channel.owner = second
            raise ValueError

        line.owner(readable=hand_over_and_fail)
        line.channel.start_reading()
        line.peer.sendall(b"1")
        second.expect(("crashed", ValueError))


def failing(kind: type[BaseException]) -> Callable[[], object]:
    def fail() -> None:
        raise kind

    return fail


@pytest.mark.parametrize("kind", [ValueError, ConnectionResetError, SystemExit, KeyboardInterrupt])
class TestAnError:
    """Raised out of a watcher, it would end the program with libuv, and the watching with libev."""

    def test_in_reading_is_given_to_the_owner_and_the_watching_goes_on(
        self, line: Line, kind: type[BaseException]
    ) -> None:
        owner = line.owner(readable=failing(kind))
        line.channel.start_reading()
        line.peer.sendall(b"1")
        owner.expect_readable(b"1")
        owner.expect(("crashed", kind))
        line.peer.sendall(b"2")
        owner.expect_readable(b"2")
        owner.expect(("crashed", kind))
        assert not line.loop.corking

    def test_in_a_turn_is_given_to_the_owner_and_the_next_is_served(
        self, line: Line, other: Line, kind: type[BaseException]
    ) -> None:
        owner = line.owner(proceed=failing(kind))
        bystander = other.owner()
        line.in_hub(line.channel.queue, other.channel.queue)
        bystander.expect(("proceed",))
        assert owner.told() == [("proceed",), ("crashed", kind)]
        assert not line.loop.corking

    def test_in_a_turn_that_was_waited_for_the_watching_goes_on(
        self, line: Line, kind: type[BaseException]
    ) -> None:
        owner = line.owner(proceed=failing(kind))
        line.in_hub(line.channel.start_reading, line.spend_the_slice, line.channel, line.channel)
        owner.expect(("proceed",), ("crashed", kind))
        owner.acts.clear()
        line.peer.sendall(b"hello")
        owner.expect_readable(b"hello")

    def test_in_sending_is_given_to_the_owner_and_the_next_is_flushed(
        self, line: Line, other: Line, kind: type[BaseException]
    ) -> None:
        owner = line.owner(flush=failing(kind))
        bystander = other.owner()
        line.in_hub(line.channel.cork, other.channel.cork)
        owner.expect(("flush",), ("crashed", kind))
        bystander.expect(("flush",))

    def test_one_when_there_is_room_again_is_given_to_the_owner(
        self, line: Line, kind: type[BaseException]
    ) -> None:
        def fail_once() -> None:
            line.channel.has_room()
            raise kind

        owner = line.owner(flush=fail_once)
        line.channel.await_room()
        owner.expect(("flush",), ("crashed", kind))


class TestSending:
    def test_what_a_reading_owner_corks_leaves_once_and_before_the_watcher_returns(self, line: Line) -> None:
        def cork() -> None:
            line.channel.cork()
            line.channel.cork()

        owner = line.owner(readable=cork)
        line.peer.sendall(b"1")
        line.in_hub(line.channel.start_reading, line.channel)
        assert owner.told() == [("readable", b"1"), ("flush",)]

    def test_what_it_corks_in_its_turn_leaves_before_that_ends(self, line: Line) -> None:
        owner = line.owner(proceed=line.channel.cork)
        line.in_hub(line.channel.proceed)
        assert owner.told() == [("proceed",), ("flush",)]

    @pytest.mark.parametrize("turn", ["readable", "proceed"])
    def test_while_it_wants_another_turn_what_it_corks_waits_for_the_end_of_the_slice(
        self, line: Line, turn: str
    ) -> None:
        def work() -> None:
            line.channel.cork()
            line.channel.queue()

        owner = line.owner(**{turn: work})
        line.peer.sendall(b"1")
        told: list[Call] = []
        line.in_hub(
            line.channel if turn == "readable" else line.channel.proceed,
            lambda: told.extend(owner.told()),
            owner.acts.clear,
        )
        assert [call[0] for call in told] == [turn]
        owner.expect(("proceed",), ("flush",))

    def test_room_is_awaited_by_one_watcher_until_it_is_there(self, line: Line) -> None:
        def until_the_third() -> None:
            flushes.append(line.channel._writer)
            line.channel.await_room()
            if len(flushes) == 3:
                line.channel.has_room()

        flushes: list[object] = []
        owner = line.owner(flush=until_the_third)
        line.channel.await_room()
        line.channel.await_room()
        assert line.channel.awaits_room
        owner.expect(("flush",), ("flush",), ("flush",))
        assert len(set(flushes)) == 1
        assert not line.channel.awaits_room
        line.channel.has_room()
        gevent.sleep(0.01)
        assert owner.told() == []

    def test_it_says_how_much_the_socket_took(self, line: Line) -> None:
        chunk = bytes(300_000)
        sent = 0
        while taken := line.channel.send([chunk, b"end"]):
            sent += taken
        received = 0
        while received < sent:
            received += len(line.peer.recv(1 << 20))
        assert received == sent
        assert line.channel.send([b"a", b"b" * 5000, b"c"]) == 5002
        assert line.peer.recv(1 << 20) == b"a" + b"b" * 5000 + b"c"

    def test_after_the_end_nothing_is_flushed(self, line: Line) -> None:
        owner = line.owner()
        line.in_hub(line.channel.cork, line.channel.release)
        gevent.sleep(0.01)
        assert owner.told() == []


class TestTheEnd:
    def test_the_peer_sees_it(self, line: Line) -> None:
        line.owner()
        line.channel.start_reading()
        line.channel.await_room()
        line.channel.release()
        assert line.peer.recv(1) == b""
        assert not line.channel.is_open
        assert not line.channel.is_reading
        assert not line.channel.awaits_room

    def test_it_comes_once(self, line: Line) -> None:
        line.owner()
        number = line.channel.transport.fileno()
        line.channel.release()
        with socket.socket() as stranger:
            assert stranger.fileno() == number, "the number is free"
            line.channel.release()
            line.channel.release(reset=True)
            stranger.getsockname()

    def test_it_may_come_in_the_owners_own_turn(self, line: Line) -> None:
        owner = line.owner(readable=line.channel.release)
        line.channel.start_reading()
        line.peer.sendall(b"1")
        owner.expect_readable(b"1")
        gevent.sleep(0.01)
        assert owner.told() == []
