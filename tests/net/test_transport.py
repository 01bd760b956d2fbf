"""A plain socket that never waits, and how it ends."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.net.transport import IOV_MAX, JOIN_MAX, PROBES, PlainTransport
from tests.waiting import PATIENCE


class Line:
    """A transport, and the peer's socket."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.peer = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
            ours, _ = listener.accept()
        self.transport = PlainTransport(ours.detach())

    def wait_until_readable(self) -> None:
        assert select.select([self.transport.fileno()], [], [], 5)[0]

    def close(self) -> None:
        self.transport.close()
        self.peer.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


class TestThePeer:
    def test_is_there_while_it_may_still_read(self, line: Line) -> None:
        assert not line.transport.is_gone()
        line.peer.sendall(b"not read yet")
        line.peer.shutdown(socket.SHUT_WR)
        line.wait_until_readable()
        assert not line.transport.is_gone()

    def test_is_gone_after_a_reset(self, line: Line) -> None:
        line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.peer.close()
        line.wait_until_readable()
        assert line.transport.is_gone()

    def test_is_gone_when_it_has_closed_a_unix_domain_socket(self) -> None:
        ours, theirs = socket.socketpair()
        transport = PlainTransport(ours.detach())
        transport.probe()
        assert not transport.is_gone()
        theirs.close()
        assert transport.is_gone()
        transport.close()

    @pytest.mark.skipif(
        not hasattr(socket, "TCP_KEEPIDLE"), reason="the time of TCP's keepalive cannot be set"
    )
    def test_is_asked_whether_it_is_there(self, line: Line) -> None:
        line.transport.probe()
        with socket.socket(fileno=os.dup(line.transport.fileno())) as ours:
            for level, option, value in PROBES:
                assert ours.getsockopt(level, option) == value


class TestReceiving:
    def test_there_may_be_nothing_now(self, line: Line) -> None:
        assert line.transport.recv(10) is None
        assert line.transport.recv_into(memoryview(bytearray(10))) is None

    def test_no_more_is_read_than_was_asked_for(self, line: Line) -> None:
        line.peer.sendall(b"0123456789")
        line.wait_until_readable()
        assert line.transport.recv(4) == b"0123"
        buffer = bytearray(4)
        assert line.transport.recv_into(memoryview(buffer)) == 4
        assert buffer == b"4567"

    def test_the_end_comes_after_what_was_sent(self, line: Line) -> None:
        line.peer.sendall(b"last")
        line.peer.shutdown(socket.SHUT_WR)
        line.wait_until_readable()
        assert line.transport.recv(10) == b"last"
        line.wait_until_readable()
        assert line.transport.recv(10) == b""
        assert line.transport.recv_into(memoryview(bytearray(1))) == 0

    def test_it_can_be_made_to_come(self, line: Line) -> None:
        line.peer.sendall(b"last")
        line.wait_until_readable()
        line.transport.shutdown_read()
        assert line.transport.recv(10) == b"last"
        line.wait_until_readable()
        assert line.transport.recv(10) == b""

    def test_a_reset_is_an_oserror(self, line: Line) -> None:
        PlainTransport(line.peer.detach()).abort()
        line.wait_until_readable()
        with pytest.raises(ConnectionResetError):
            line.transport.recv(10)


class TestSending:
    @given(st.lists(st.binary(max_size=40) | st.just(bytes(JOIN_MAX)), max_size=6))
    def test_all_chunks_leave_in_their_order(self, chunks: list[bytes]) -> None:
        line = Line()
        expected = b"".join(chunks)
        sent = line.transport.send(chunks)
        assert sent == len(expected) or sent >= JOIN_MAX
        line.transport.close()
        received = b""
        while data := line.peer.recv(1 << 20):
            received += data
        line.close()
        assert received == expected[:sent]

    def test_more_chunks_than_the_system_takes_leave_in_part(self, line: Line) -> None:
        chunk = bytes(JOIN_MAX // IOV_MAX + 1)
        assert line.transport.send([chunk] * (IOV_MAX + 5)) <= IOV_MAX * len(chunk)

    def test_a_socket_that_is_full_takes_nothing(self, line: Line) -> None:
        while line.transport.send([bytes(JOIN_MAX)]):
            pass
        assert line.transport.send([b"more"]) == 0
        assert line.transport.send([b"more", bytes(JOIN_MAX)]) == 0
        assert not line.transport.pending, "what is not taken is the caller's"

    def test_a_lost_connection_is_an_oserror(self, line: Line) -> None:
        PlainTransport(line.peer.detach()).abort()
        line.wait_until_readable()
        with pytest.raises(ConnectionResetError):
            line.transport.send([b"x"])


class TestTheEnd:
    def test_a_half_close_is_seen_by_the_peer_which_may_still_send(self, line: Line) -> None:
        line.transport.send([b"last"])
        line.transport.shutdown_write()
        assert line.peer.recv(10) == b"last"
        assert line.peer.recv(10) == b""
        line.peer.sendall(b"mine")
        line.wait_until_readable()
        assert line.transport.recv(10) == b"mine"

    @pytest.mark.parametrize("method", ["close", "abort"])
    def test_it_releases_the_descriptor_once(self, line: Line, method: str) -> None:
        descriptor = line.transport.fileno()
        getattr(line.transport, method)()
        assert line.transport.fileno() == -1
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
        os.dup2(0, descriptor)  # somebody else gets the number
        getattr(line.transport, method)()
        os.close(descriptor)  # which would fail if that had closed it

    def test_what_was_sent_before_a_close_arrives(self, line: Line) -> None:
        line.transport.send([b"last"])
        line.transport.close()
        assert line.peer.recv(10) == b"last"
        assert line.peer.recv(10) == b""

    def test_an_abort_is_a_reset(self, line: Line) -> None:
        line.transport.abort()
        with pytest.raises(ConnectionResetError):
            line.peer.recv(10)


def test_the_socket_becomes_non_blocking_and_adds_nothing_to_the_environ(line: Line) -> None:
    assert not os.get_blocking(line.transport.fileno())
    assert line.transport.environ() == {}
    assert not line.transport.secure
