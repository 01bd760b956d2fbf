"""Blocking reads and writes on a channel that never blocks: what a greenlet that answers a request does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

import gevent
import pytest

from geventkws.http.stream import NEVER, Stream, unsent
from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.loop.roles import Owner
from geventkws.net.transport import Chunk, PlainTransport
from tests.waiting import PATIENCE, wait_until

LARGE = bytes(4_000_000)


class Waker(Owner):
    """Wakes whoever waits, as an HTTP connection does."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def _readable(self) -> bool:
        self._stream.channel.pause()
        self._stream.wake_receiver()
        return False

    def _proceed(self) -> None:
        """Do nothing with a turn that the channel is given; on a busy machine it asks for one."""

    def _crashed(self, error: BaseException) -> None:
        self._stream.channel.release()

    def _flush(self) -> None:
        self._stream.offer()
        if not self._stream.channel.awaits_room:
            self._stream.wake_sender()


class Line:
    """A stream on one end of a socket pair, and its peer on the other."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.channel = Channel(Loop.current(), PlainTransport(ours.detach()))
        self.stream = Stream(self.channel)
        self.channel.owner = Waker(self.stream)
        self.channel.start_reading()
        self.channel.pause()

    def begin(self, act: Callable[..., Any], *args: Any) -> gevent.Greenlet[..., Any]:
        """Let a greenlet do what may have to wait, for its turn at least."""
        return gevent.spawn(act, *args)

    def recv(self) -> bytes:
        data: bytes = self.begin(self.stream.recv).get(timeout=PATIENCE)
        return data

    def sendall(self, *chunks: Chunk) -> None:
        self.begin(self.stream.sendall, chunks).get(timeout=PATIENCE)

    def close(self) -> None:
        self.peer.close()
        if self.channel.is_open:
            self.channel.release()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


class TestReading:
    def test_what_is_there_is_given_at_once(self, line: Line) -> None:
        line.peer.sendall(b"abc")
        assert line.recv() == b"abc"

    def test_what_is_not_there_is_awaited(self, line: Line) -> None:
        reader = line.begin(line.stream.recv)
        wait_until(lambda: line.stream.receiver is not None)
        line.peer.sendall(b"abc")
        assert reader.get(timeout=PATIENCE) == b"abc"
        assert line.stream.receiver is None

    def test_the_end_is_given_each_time(self, line: Line) -> None:
        line.peer.close()
        assert [line.recv(), line.recv()] == [b"", b""]
        assert line.stream.ended

    def test_a_deadline_that_has_passed_is_an_error_only_if_it_would_wait(self, line: Line) -> None:
        line.stream.set_deadline(0)
        line.peer.sendall(b"abc")
        assert line.recv() == b"abc"
        with pytest.raises(TimeoutError):
            line.recv()

    def test_one_that_passes_meanwhile_is_seen_when_the_clock_looks(self, line: Line) -> None:
        line.stream.set_deadline(60)
        reader = line.begin(line.stream.recv)
        wait_until(lambda: line.stream.receiver is not None)
        line.stream.deadline = monotonic()
        line.channel.loop.hub.loop.run_callback(line.stream.wake)
        with pytest.raises(TimeoutError):
            reader.get(timeout=PATIENCE)

    def test_a_connection_lost_meanwhile_is_an_error(self, line: Line) -> None:
        reader = line.begin(line.stream.recv)
        wait_until(lambda: line.stream.receiver is not None)
        line.channel.release()
        line.channel.loop.hub.loop.run_callback(line.stream.wake)
        with pytest.raises(ConnectionAbortedError):
            reader.get(timeout=PATIENCE)

    def test_there_may_be_no_deadline(self, line: Line) -> None:
        line.stream.set_deadline(None)
        assert line.stream.deadline == NEVER


class TestWriting:
    def test_all_chunks_leave_in_one_call(self, line: Line) -> None:
        line.sendall(b"a", b"", memoryview(b"bc"))
        assert line.peer.recv(10) == b"abc"
        assert line.stream.output_size == 0

    def test_room_is_awaited(self, line: Line) -> None:
        writer = line.begin(line.stream.sendall, [LARGE])
        wait_until(lambda: line.stream.sender is not None)
        assert 0 < line.stream.output_size < len(LARGE)
        received = 0
        while received < len(LARGE):
            received += len(line.peer.recv(65536))
        writer.get(timeout=PATIENCE)
        assert line.stream.output_size == 0
        assert not line.channel.awaits_room

    def test_a_peer_that_reads_nothing_is_a_timeout(self, line: Line) -> None:
        line.stream.set_deadline(0)
        with pytest.raises(TimeoutError):
            line.sendall(LARGE)
        assert line.stream.stuck_since > 0

    def test_a_peer_that_is_gone_is_an_oserror(self, line: Line) -> None:
        line.peer.close()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            line.sendall(b"abc")

    def test_what_is_sent_soon_leaves_at_the_end_of_the_turn(self, line: Line) -> None:
        line.peer.setblocking(False)
        line.stream.send_soon(b"ab")
        line.stream.send_soon(b"c")
        with pytest.raises(BlockingIOError):
            line.peer.recv(10)
        line.channel.loop.flush()
        assert line.peer.recv(10) == b"abc"

    def test_what_is_forgotten_does_not_leave(self, line: Line) -> None:
        line.stream.send_soon(b"abc")
        line.stream.forget_output()
        line.sendall(b"d")
        assert line.peer.recv(10) == b"d"

    def test_room_can_be_awaited_on_its_own(self, line: Line) -> None:
        line.begin(line.stream.wait_until_writable).get(timeout=PATIENCE)


def test_one_greenlet_may_read_while_another_writes(line: Line) -> None:
    reader, writer = line.begin(line.stream.recv), line.begin(line.stream.sendall, [LARGE])
    wait_until(lambda: line.stream.receiver is not None and line.stream.sender is not None)
    line.peer.sendall(b"abc")
    assert reader.get(timeout=PATIENCE) == b"abc"
    assert not writer.ready()
    received = 0
    while received < len(LARGE):
        received += len(line.peer.recv(65536))
    writer.get(timeout=PATIENCE)


@pytest.mark.parametrize("sent", range(7))
def test_what_has_left_is_taken_from_the_front(sent: int) -> None:
    assert b"".join(unsent([b"ab", b"c", b"def"], sent)) == b"abcdef"[sent:]
