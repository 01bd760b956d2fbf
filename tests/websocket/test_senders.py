"""Those who cannot send at once: how long they wait, and what happens if they cannot wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

from geventkws import WebSocketService
from geventkws.protocol.endpoint import Broadcast
from geventkws.protocol.opcodes import BINARY
from geventkws.websocket.senders import Senders
from tests.helpers import in_hub
from tests.raw import Frame
from tests.waiting import PATIENCE
from tests.websocket.lines import Line

LIMIT = 1000

native_sleep = get_original("time", "sleep")


class Silent(WebSocketService):
    def connected(self, connection):
        pass


@pytest.fixture
def line() -> Iterator[Line]:
    """A connection with room for ``LIMIT`` bytes, whose peer reads when the test does."""
    line = Line(Silent(), max_send_buffer=LIMIT)
    yield line
    line.close()


@pytest.fixture
def drops(line: Line) -> list[tuple[int, str]]:
    """What the senders have dropped the connection with."""
    return []


@pytest.fixture
def senders(line: Line, drops: list[tuple[int, str]]) -> Senders:
    def drop(code: int, description: str) -> None:
        drops.append((code, description))
        line.connection.drop(code, description)

    senders = line.connection._senders = Senders(line.connection, drop)
    return senders


@pytest.fixture
def threads() -> Iterator[ThreadPool]:
    pool = ThreadPool(4)
    yield pool
    pool.kill()


class TestAGreenlet:
    def test_sends_at_once_where_there_is_room(self, line: Line, senders: Senders) -> None:
        assert senders.wait_for_room() is True
        assert senders.send(BINARY, b"x", None) is True
        assert line.peer.frame() == Frame(BINARY, b"x")

    def test_waits_until_the_peer_has_read(self, line: Line, senders: Senders) -> None:
        line.fill()
        sender = gevent.spawn(senders.send, BINARY, b"at last", None)
        gevent.sleep(0.02)
        assert not sender.ready()
        while line.peer.frame().payload != b"at last":
            pass
        assert sender.get(timeout=PATIENCE) is True

    def test_goes_on_without_having_sent_when_the_connection_ends(self, line: Line, senders: Senders) -> None:
        line.fill()
        sender = gevent.spawn(senders.send, BINARY, b"never", None)
        gevent.sleep(0.02)
        line.connection._lifecycle.lost(line.connection)
        assert sender.get(timeout=PATIENCE) is False

    def test_looks_again_whenever_there_may_be_room(self, line: Line, senders: Senders) -> None:
        line.fill()
        sender = gevent.spawn(senders.wait_for_room)
        gevent.sleep(0.02)
        for _ in range(3):
            senders.make_room()
            gevent.sleep(0.005)
            assert not sender.ready(), "there was none"
        line.connection._lifecycle.lost(line.connection)
        assert sender.get(timeout=PATIENCE) is False


class TestTheHub:
    def test_sends_at_once_where_there_is_room(self, line: Line, senders: Senders, drops: list[Any]) -> None:
        assert in_hub(senders.send, BINARY, b"x", None) is True
        assert line.peer.frame() == Frame(BINARY, b"x")
        assert not drops

    def test_ends_a_connection_over_its_limit(self, line: Line, senders: Senders, drops: list[Any]) -> None:
        line.fill()
        assert in_hub(senders.send, BINARY, b"never", None) is False
        assert drops == [(1013, "The peer reads too slowly")]

    def test_so_does_a_broadcast(self, line: Line, senders: Senders, drops: list[Any]) -> None:
        assert senders.broadcast(Broadcast(b"x")) is True
        line.fill()
        assert senders.broadcast(Broadcast(b"never")) is False
        assert drops == [(1013, "The peer reads too slowly")]

    def test_first_offers_what_waits_to_the_socket(
        self, line: Line, senders: Senders, drops: list[Any]
    ) -> None:
        line.connection.send(bytes(LIMIT))
        assert line.connection._endpoint.output_size > LIMIT, "it is corked"
        assert senders.broadcast(Broadcast(b"x")) is True
        assert not drops


class TestAThread:
    def test_calls_in_the_hub_in_its_order(self, line: Line, senders: Senders, threads: ThreadPool) -> None:
        def send_all() -> list[bool]:
            return [senders.send(BINARY, b"%d" % number, None) for number in range(5)]

        assert threads.spawn(send_all).get(timeout=PATIENCE) == [True] * 5
        assert [line.peer.frame().payload for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]

    def test_waits_at_the_limit_until_the_peer_has_read(
        self, line: Line, senders: Senders, threads: ThreadPool
    ) -> None:
        line.fill()
        sender = threads.spawn(senders.send, BINARY, b"at last", None)
        gevent.sleep(0.05)
        assert not sender.ready()
        while line.peer.frame().payload != b"at last":
            pass
        assert sender.get(timeout=PATIENCE) is True

    def test_what_is_queued_counts(self, line: Line, senders: Senders, threads: ThreadPool) -> None:
        taken: list[bool] = []

        def broadcast() -> None:
            for _ in range(4):
                taken.append(senders.broadcast(Broadcast(bytes(LIMIT // 2))))

        thread = threads.spawn(broadcast)
        while len(taken) < 4:
            native_sleep(0.001)  # the hub gets to none of the calls before all are made
        assert taken == [True, True, False, False]
        thread.get(timeout=PATIENCE)

    def test_goes_on_without_having_sent_when_the_connection_ends(
        self, line: Line, senders: Senders, threads: ThreadPool
    ) -> None:
        line.fill()
        sender = threads.spawn(senders.send, BINARY, b"never", None)
        gevent.sleep(0.05)
        line.connection._lifecycle.lost(line.connection)
        assert sender.get(timeout=PATIENCE) is False
        assert threads.spawn(senders.send, BINARY, b"never", None).get(timeout=PATIENCE) is False

    def test_does_not_wait_with_a_broadcast(
        self, line: Line, senders: Senders, drops: list[Any], threads: ThreadPool
    ) -> None:
        line.fill()
        assert threads.spawn(senders.broadcast, Broadcast(b"x")).get(timeout=PATIENCE) is False
        line.until(lambda: drops)
        assert drops == [(1013, "Broadcasts come too fast")]
        assert threads.spawn(senders.broadcast, Broadcast(b"x")).get(timeout=PATIENCE) is False


def test_a_connection_has_no_senders_before_one_has_to_wait(line: Line) -> None:
    line.connection.send("x")
    line.connection.ping()
    assert line.connection._senders is None
    first = line.connection._lifecycle.senders(line.connection)
    assert line.connection._lifecycle.senders(line.connection) is first
