"""A pump between a client and an application, each at its end of a socket pair."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.loop.pump import Pump
from geventkws.loop.roles import Owner
from geventkws.net.transport import PlainTransport
from tests.waiting import PATIENCE

MUCH = 8 * 1024 * 1024
"""Bytes that no socket buffer takes."""


class Principal(Owner):
    """The owner that the client's channel had before; keeps what it is asked."""

    def __init__(self, channel: Channel) -> None:
        self.asked: list[str] = []
        self.greenlet = object()
        channel.owner = self

    def _check(self, now: float) -> None:
        self.asked.append("check")

    def _hurry(self) -> None:
        self.asked.append("hurry")

    def _abandon(self) -> None:
        self.asked.append("abandon")

    def _forsake(self) -> None:
        self.asked.append("forsake")

    def _is_busy(self) -> bool:
        return True

    def _describe(self) -> str:
        return "its name"


class Pumped:
    """A client, an application and the pump between them."""

    def __init__(self, loop: Loop, read_ahead: bytes = b"") -> None:
        outer, self.client = socket.socketpair()
        inner, self.application = socket.socketpair()
        for end in self.client, self.application:
            end.settimeout(PATIENCE)
        self.channel = Channel(loop, PlainTransport(outer.detach()))
        self.principal = Principal(self.channel)
        self.channel.start_reading()
        self.pump = Pump(self.channel, inner.detach(), read_ahead)
        self.inner = self.owner.other.channel

    @property
    def owner(self) -> Any:
        return self.channel.owner

    def close(self) -> None:
        self.pump.stop()
        self.channel.release()
        self.client.close()
        self.application.close()


@pytest.fixture
def pumped(loop: Loop) -> Iterator[Pumped]:
    pumped = Pumped(loop)
    yield pumped
    pumped.close()


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def to_the_end(sock: socket.socket) -> int:
    size = 0
    while data := sock.recv(1024 * 1024):
        size += len(data)
    return size


def test_both_ends_have_had_their_answer(pumped: Pumped) -> None:
    assert not pumped.channel.is_new
    assert not pumped.inner.is_new


def test_both_ways(pumped: Pumped) -> None:
    pumped.client.sendall(b"question")
    assert exactly(pumped.application, 8) == b"question"
    pumped.application.sendall(b"answer")
    assert exactly(pumped.client, 6) == b"answer"


def test_what_was_read_ahead_comes_first(loop: Loop) -> None:
    pumped = Pumped(loop, b"early, ")
    pumped.client.sendall(b"late")
    assert exactly(pumped.application, 11) == b"early, late"
    pumped.close()


def test_much_that_was_read_ahead_holds_up_the_rest(loop: Loop) -> None:
    pumped = Pumped(loop, bytes(MUCH))
    pumped.client.sendall(b"late")
    assert exactly(pumped.application, MUCH + 4)[-4:] == b"late"
    pumped.close()


@pytest.mark.parametrize(("sender", "reader"), [("client", "application"), ("application", "client")])
def test_whoever_does_not_read_holds_up_the_other(pumped: Pumped, sender: str, reader: str) -> None:
    sending = gevent.spawn(getattr(pumped, sender).sendall, bytes(MUCH))
    sending.join(0.05)
    assert not sending.dead
    left = MUCH
    while left:
        left -= len(getattr(pumped, reader).recv(1024 * 1024))
    sending.get(timeout=PATIENCE)


@pytest.mark.parametrize(("first", "second"), [("client", "application"), ("application", "client")])
def test_the_end_of_one_stream_leaves_the_other_open(pumped: Pumped, first: str, second: str) -> None:
    ending, other = getattr(pumped, first), getattr(pumped, second)
    ending.sendall(b"last")
    ending.shutdown(socket.SHUT_WR)
    assert exactly(other, 5) == b"last"
    reading = gevent.spawn(to_the_end, ending)
    other.sendall(bytes(MUCH))
    other.shutdown(socket.SHUT_WR)
    assert reading.get(timeout=PATIENCE) == MUCH


class TestTheApplicationCloses:
    def test_the_client_gets_everything_that_was_sent(self, pumped: Pumped) -> None:
        reading = gevent.spawn(to_the_end, pumped.client)
        pumped.application.sendall(bytes(MUCH))
        pumped.application.close()
        assert pumped.pump.drain(PATIENCE)
        assert reading.get(timeout=PATIENCE) == MUCH

    def test_even_if_another_process_has_its_socket_as_well(self, pumped: Pumped) -> None:
        with pumped.application.dup():
            pumped.application.sendall(b"last")
            pumped.application.close()
            assert pumped.pump.drain(PATIENCE)
            assert to_the_end(pumped.client) == 4

    def test_even_if_it_has_not_read_everything(self, pumped: Pumped) -> None:
        pumped.client.sendall(b"unread")
        gevent.socket.wait_read(pumped.application.fileno(), timeout=PATIENCE)
        pumped.application.sendall(b"last")
        pumped.application.close()
        assert to_the_end(pumped.client) == 4
        assert pumped.channel.is_open  # for an end in good order
        pumped.client.sendall(bytes(100_000))  # which is read away

    def test_a_client_that_does_not_read_is_not_waited_for(self, pumped: Pumped) -> None:
        sending = gevent.spawn(pumped.application.sendall, bytes(MUCH))
        sending.join(0.05)
        sending.kill()
        pumped.application.close()
        assert not pumped.pump.drain(0.01)

    def test_nothing_is_left_to_send_to_a_client_whose_connection_was_closed_here(
        self, pumped: Pumped
    ) -> None:
        pumped.channel.release()
        pumped.application.sendall(b"last")
        pumped.application.close()
        assert pumped.pump.drain(PATIENCE)

    def test_the_channel_goes_back_to_its_owner(self, pumped: Pumped) -> None:
        pumped.application.close()
        assert pumped.pump.drain(PATIENCE)
        pumped.pump.stop()
        assert pumped.owner is pumped.principal
        assert pumped.channel.is_open
        assert not pumped.inner.is_open


class TestTheClientIsLost:
    def test_the_application_learns_it_when_it_reads(self, pumped: Pumped) -> None:
        pumped.channel.owner._crashed(ConnectionResetError())
        assert pumped.application.recv(1) == b""
        assert not pumped.channel.is_open

    def test_the_application_learns_it_when_it_writes(self, pumped: Pumped) -> None:
        """The client does not read, and then goes: whoever is held up by it must not wait for ever."""
        sending = gevent.spawn(pumped.application.sendall, bytes(MUCH))
        sending.join(0.05)
        pumped.client.close()
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            sending.get(timeout=PATIENCE)
        assert pumped.pump.drain(0)

    def test_a_crash_at_the_other_end_is_one_of_the_client(self, pumped: Pumped) -> None:
        pumped.inner.owner._crashed(ConnectionResetError())
        assert not pumped.channel.is_open
        assert pumped.application.recv(1) == b""


def test_in_everything_else_the_former_owner_is_asked(pumped: Pumped) -> None:
    owner = pumped.owner
    owner._check(0.0)
    owner._hurry()
    owner._abandon()
    owner._proceed()
    assert owner.greenlet is pumped.principal.greenlet
    assert owner._is_busy()
    assert owner._describe() == "its name"
    owner._forsake()
    assert pumped.principal.asked == ["check", "hurry", "abandon", "forsake"]
    assert not pumped.inner.is_open
