"""An owner that nobody works for ends at once, whoever wants it to."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import gevent
import pytest

from geventkws.loop.channel import Channel
from geventkws.loop.loop import Loop
from geventkws.loop.transient import TransientOwner
from geventkws.net.transport import PlainTransport
from tests.waiting import PATIENCE


class Line:
    """A connection with such an owner, and the peer's socket."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.channel = Channel(Loop(gevent.get_hub()), PlainTransport(ours.detach()))
        self.ends: list[Channel] = []
        self.owner = TransientOwner(self.channel, self.ends.append)

    def is_closed(self) -> bool:
        return not self.channel.is_open and self.peer.recv(1) == b""


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.channel.release()
    line.peer.close()


def test_it_owns_its_channel_and_is_never_busy(line: Line) -> None:
    assert line.channel.owner is line.owner
    assert not line.owner._is_busy()


@pytest.mark.parametrize("method", ["_hurry", "_abandon"])
def test_it_ends_when_the_server_stops_and_says_so_once(line: Line, method: str) -> None:
    for _ in range(2):
        getattr(line.owner, method)()
    assert line.is_closed()
    assert line.ends == [line.channel]


def test_a_child_process_lets_go_of_it_silently(line: Line) -> None:
    line.owner._forsake()
    assert line.is_closed()
    assert line.ends == []


@pytest.mark.parametrize(("error", "lines"), [(ConnectionResetError(), 0), (RuntimeError("ours"), 1)])
def test_an_error_ends_it_and_only_one_of_ours_is_logged(
    line: Line, error: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    line.owner._crashed(error)
    assert line.is_closed()
    assert line.ends == [line.channel]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * lines
