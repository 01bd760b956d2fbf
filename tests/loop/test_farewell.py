"""The last bytes of a connection, on a real socket; the clock is the test's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from geventkws.loop.channel import Channel
from geventkws.loop.farewell import LAST_MOMENT, Farewell
from geventkws.loop.loop import Loop
from geventkws.loop.roles import Owner
from geventkws.net.transport import PlainTransport
from tests.helpers import fill
from tests.raw import RawClient
from tests.waiting import LONG, PATIENCE, wait_until


class Line:
    """Two ends of a TCP connection, one of which says farewell."""

    def __init__(self, loop: Loop) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = RawClient(listener.getsockname()[1], receive_buffer=16 * 1024)
            ours, _ = listener.accept()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        self.channel = Channel(loop, PlainTransport(ours.detach()))
        self.ends: list[Channel] = []
        self.over: AsyncResult[float] = AsyncResult()

    def take_leave(self, answer: bytes = b"", timeout: float = LONG) -> Farewell:
        farewell = Farewell(self.channel, timeout, self.end, answer)
        self.channel.start_reading()
        return farewell

    def end(self, channel: Channel) -> None:
        self.ends.append(channel)
        self.over.set(monotonic())

    def expect_the_end(self) -> None:
        """Wait until it is over, which is reported once, when the descriptor is closed."""
        self.over.get(timeout=PATIENCE)
        gevent.sleep(0)
        assert self.ends == [self.channel]
        assert not self.channel.is_open


@pytest.fixture
def line(loop: Loop) -> Iterator[Line]:
    line = Line(loop)
    yield line
    line.channel.release()
    line.client.close()


class TestTheAnswer:
    def test_it_is_sent_and_then_the_end_before_the_peer_says_anything(self, line: Line) -> None:
        line.take_leave(b"good-bye")
        assert line.client.read_to_end() == b"good-bye"
        assert line.channel.is_open, "what the peer still sends must not reset the connection"
        line.client.close()
        line.expect_the_end()

    def test_there_may_be_none(self, line: Line) -> None:
        line.take_leave()
        assert line.client.read_to_end() == b""

    def test_a_slow_peer_gets_all_of_it(self, line: Line) -> None:
        answer = bytes(range(256)) * 8000
        line.take_leave(answer)
        wait_until(lambda: line.channel.awaits_room)
        line.client.send(b"what is said meanwhile is read away")
        assert line.client.read_to_end() == answer
        assert not line.channel.awaits_room
        line.client.close()
        line.expect_the_end()

    def test_so_does_one_that_has_sent_its_own_end(self, line: Line) -> None:
        answer = bytes(range(256)) * 8000
        line.take_leave(answer)
        line.client.half_close()
        wait_until(lambda: line.channel.awaits_room)
        gevent.sleep(0.01)
        assert line.client.read_to_end() == answer
        line.expect_the_end()

    def test_a_peer_that_takes_nothing_does_not_keep_it_open(self, line: Line) -> None:
        farewell = line.take_leave(bytes(8_000_000), timeout=3)
        wait_until(lambda: line.channel.awaits_room)
        farewell._check(monotonic() + 3)
        line.expect_the_end()

    def test_a_peer_that_has_made_room_while_the_hub_was_busy_gets_it(self, line: Line) -> None:
        filled = fill(line.channel.transport)
        farewell = line.take_leave(b"good-bye", timeout=3)
        wait_until(lambda: line.channel.awaits_room)
        line.client.read_body(filled)  # without the hub
        farewell._check(monotonic() + 3)
        assert line.client.read_to_end() == b"good-bye"
        line.expect_the_end()


class TestTheDrain:
    def test_it_takes_whatever_comes(self, line: Line) -> None:
        line.take_leave()
        line.client.send(bytes(8_000_000))
        assert line.channel.is_open
        line.client.half_close()
        line.expect_the_end()

    def test_it_ends_when_its_time_is_up(self, line: Line) -> None:
        began = monotonic()
        farewell = line.take_leave(timeout=3)
        farewell._check(began + 2.9)
        assert line.channel.is_open
        farewell._check(monotonic() + 3)
        line.expect_the_end()
        farewell._check(monotonic() + 3)
        assert len(line.ends) == 1

    def test_it_ends_with_the_peer(self, line: Line) -> None:
        line.take_leave()
        line.client.send(b"the rest")
        line.client.half_close()
        line.expect_the_end()

    def test_a_reset_ends_it_without_an_error(self, line: Line) -> None:
        line.take_leave(bytes(1_000_000))
        wait_until(lambda: line.channel.awaits_room)
        line.client.reset()
        line.expect_the_end()

    def test_what_was_paused_is_read_again(self, line: Line) -> None:
        line.channel.owner = Owner()
        line.channel.start_reading()
        line.channel.pause()
        Farewell(line.channel, LONG, line.end)
        assert line.channel.is_reading


class TestAStop:
    def test_it_leaves_a_moment(self, line: Line) -> None:
        farewell = line.take_leave()
        farewell._hurry()
        farewell._check(monotonic() + LAST_MOMENT / 2)
        assert line.channel.is_open
        farewell._check(monotonic() + LAST_MOMENT)
        line.expect_the_end()

    def test_it_gives_no_more_time(self, line: Line) -> None:
        farewell = line.take_leave(timeout=LAST_MOMENT / 4)
        farewell._hurry()
        farewell._check(monotonic() + LAST_MOMENT / 2)
        line.expect_the_end()

    def test_abandoning_it_ends_it(self, line: Line) -> None:
        farewell = line.take_leave()
        assert not farewell._is_busy()
        farewell._abandon()
        farewell._abandon()
        line.expect_the_end()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, ConnectionResetError])
def test_an_error_ends_it_and_is_logged_unless_it_is_the_peers(
    line: Line,
    kind: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reported: list[object] = []
    hub: Any = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", lambda context, kind, *details: reported.append(kind))
    farewell = line.take_leave()
    farewell._crashed(kind())
    line.expect_the_end()
    gevent.sleep(0)
    logged = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert reported == ([kind] if kind is KeyboardInterrupt else [])
    assert logged == ([kind] if kind is ValueError else [])


def test_an_error_in_the_callback_at_the_end_stays_out_of_the_watcher(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(channel: Channel) -> None:
        line.end(channel)
        raise ValueError

    Farewell(line.channel, LONG, fail)
    line.channel.start_reading()
    line.client.half_close()
    line.expect_the_end()
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ValueError]
