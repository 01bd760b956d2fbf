"""Who is pinged and who is given up, by a clock that the test sets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic

import gevent
import pytest

from geventkws import WebSocketConnection, WebSocketService
from geventkws.loop.loop import RECEIVE_BUFFER_SIZE
from geventkws.protocol.closing import State
from geventkws.websocket import keepalive
from geventkws.websocket.keepalive import PATIENCE_WITH_RESTS
from geventkws.websocket.transitions import outcome_of
from tests.helpers import in_hub
from tests.raw import BINARY, PING, PONG, TEXT, close_frame, masked
from tests.waiting import PATIENCE
from tests.websocket.lines import Line, connection_on

Flooding = tuple[WebSocketConnection, socket.socket, Callable[..., None]]

TIMEOUT = 20
HALF = TIMEOUT / 2
ROUNDING = 0.001
"""Seconds, more than a sum of two times may lack when one of them is subtracted again."""


class Watched(WebSocketService):
    connection_timeout = TIMEOUT

    def received(self, message, connection):
        pass


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line(Watched(), send_timeout=60)
    yield line
    line.close()


def check(line: Line, seconds: float, pings: bool = True) -> None:
    """Check a connection this many seconds after it was last heard from."""
    heard_at = line.connection._heard_at
    in_hub(keepalive.check, line.connection, heard_at + seconds + ROUNDING, 60, pings)


class TestSilence:
    def test_for_half_of_the_timeout_brings_one_ping(self, line: Line) -> None:
        check(line, HALF - 0.1)
        assert line.connection._pinged_at is None
        check(line, HALF)
        check(line, HALF + 0.1)
        assert line.peer.frame().opcode == PING
        assert line.connection._endpoint.bytes_sent == 2, "there was one"

    def test_for_as_long_again_loses_the_peer(self, line: Line) -> None:
        check(line, HALF)
        check(line, TIMEOUT - 0.1)
        assert line.connection.active
        check(line, TIMEOUT)
        assert outcome_of(line.connection) == 1006

    def test_ends_with_whatever_arrives(self, line: Line) -> None:
        check(line, HALF)
        line.peer.send(masked(BINARY, b""))
        line.until(lambda: line.connection._pinged_at is None)
        check(line, HALF - 0.1)
        assert line.connection._pinged_at is None

    def test_is_looked_into_once_more_before_the_end(self, line: Line) -> None:
        check(line, HALF)
        line.peer.send(masked(PONG))  # the hub has had no turn since
        check(line, TIMEOUT)
        assert line.connection.active
        assert line.connection._pinged_at is None

    def test_is_nothing_to_a_service_without_a_timeout_or_a_connection_that_closes(self, line: Line) -> None:
        check(line, 100 * TIMEOUT, pings=False)
        line.connection.service.connection_timeout = None
        check(line, 100 * TIMEOUT)
        assert line.connection._pinged_at is None

    def test_is_ours_while_nothing_is_read(self, line: Line) -> None:
        line.channel.pause()
        check(line, 100 * TIMEOUT)
        assert line.connection._pinged_at is None
        line.channel.resume()


class TestAPeerThatTakesNothing:
    def test_is_lost_after_send_timeout(self, line: Line) -> None:
        line.fill()
        stuck_since = line.connection._stuck_since
        in_hub(keepalive.check, line.connection, stuck_since + 59, 60, True)
        assert line.connection.active
        in_hub(keepalive.check, line.connection, stuck_since + 60 + ROUNDING, 60, True)
        assert not line.connection.active

    def test_is_not_if_there_is_no_limit(self, line: Line) -> None:
        line.connection.service.connection_timeout = None
        line.fill()
        in_hub(keepalive.check, line.connection, monotonic() + 10_000, None, True)
        assert line.connection.active

    def test_is_not_if_the_kernel_has_room_by_now(self, line: Line) -> None:
        line.connection.service.connection_timeout = None
        line.fill()
        line.connection._stuck_since = monotonic() - 61
        line.peer.sock.setblocking(False)
        drain(line.peer.sock)
        in_hub(keepalive.check, line.connection, monotonic(), 60, True)
        assert line.connection.active


class TestCatchingUp:
    def test_receives_everything_that_is_there(self, line: Line) -> None:
        line.peer.send(masked(TEXT, "x") * 10)
        in_hub(keepalive.catch_up, line.connection)
        assert line.connection.traffic.messages_received == 10

    def test_ends_even_if_a_peer_keeps_sending(self, line: Line) -> None:
        """What it has sent is taken in its turns, and the clock goes on."""
        line.peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        line.peer.sock.setblocking(False)
        line.connection.close()  # now what arrives is discarded, and fills no inbox
        sent = line.peer.sock.send(masked(BINARY, bytes(16_000)) * 60)
        assert sent > 2 * RECEIVE_BUFFER_SIZE
        in_hub(keepalive.catch_up, line.connection)
        assert 0 < line.connection._endpoint.bytes_received <= 2 * RECEIVE_BUFFER_SIZE


def test_a_peer_is_not_lost_in_the_moment_when_the_last_output_leaves() -> None:
    class Service(WebSocketService):
        connection_timeout = 20

    ours, peer = socket.socketpair()
    with peer:
        peer.setblocking(False)
        connection = connection_on(ours, Service())
        while not connection._endpoint.output_size:
            connection.send(b"x" * 10_000)
            connection._channel.flush()
        # The following happens in one turn of the hub: the ping was sent after the rest of the output, for
        # which the peer made room a moment ago.
        drain(peer)
        now = monotonic()
        connection._pinged_at, connection._stuck_since = now - 11, now - 5
        in_hub(connection._check, now)
        assert connection.active
        connection.drop()
        gevent.sleep(0.01)


class TestAFloodWinsNoTime:
    """Part of what a peer has sent may be waiting for its turn whenever the clock checks."""

    @pytest.fixture
    def flooding(self) -> Iterator[Flooding]:
        """Yield a connection, its peer, and what makes it receive more than it handles in a turn."""
        ours, peer = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with peer:
            peer.setblocking(False)
            connection = connection_on(ours, WebSocketService(), close_timeout=5, send_timeout=60)

            def flood(last: bytes = b"") -> None:
                peer.send((masked(PING) * 40_000)[: RECEIVE_BUFFER_SIZE // 6 * 6 - len(last)] + last)
                connection._channel()
                assert connection._rest is not None

            yield connection, peer, flood
            connection._abandon()
            gevent.sleep(0.01)

    def test_when_it_does_not_answer_a_close(self, flooding: Flooding) -> None:
        connection, _, flood = flooding
        connection.close()
        flood()
        in_hub(connection._check, monotonic() + 5.1)
        assert connection._state == State.CLOSING, "the answer may wait for its turn"
        in_hub(connection._check, monotonic() + 5 + PATIENCE_WITH_RESTS)
        assert connection._state == State.CLOSED
        assert outcome_of(connection) == 1006

    def test_an_answer_after_it_counts_when_it_has_its_turn(self, flooding: Flooding) -> None:
        connection, _, flood = flooding
        connection.close()
        flood(close_frame(1000))
        in_hub(connection._check, monotonic() + 5.1)
        with gevent.Timeout(PATIENCE):
            while outcome_of(connection) is None:
                gevent.sleep(0.005)
        assert outcome_of(connection) == 1000

    def test_when_it_reads_nothing_of_what_waits_for_it(self, flooding: Flooding) -> None:
        connection, _, flood = flooding
        connection.send(bytes(4_000_000))
        connection._channel.flush()
        flood()
        in_hub(connection._check, monotonic() + 59)
        assert connection.active
        in_hub(connection._check, monotonic() + 61)
        assert not connection.active


def drain(peer: socket.socket) -> None:
    """Read everything that is there."""
    with suppress(BlockingIOError):
        while peer.recv(1 << 20):
            pass
