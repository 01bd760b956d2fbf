"""The loop's leaf, in both of its forms: bytes to and from a descriptor, and the clock."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import monkey
from hypothesis import given
from hypothesis import strategies as st

from geventkws.net.transport import PlainTransport
from tests.helpers import forms
from tests.waiting import PATIENCE

FORMS = forms("geventkws.loop.leaf")


@pytest.fixture(params=FORMS)
def leaf(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param]


class Pair:
    """A transport and the peer's socket."""

    def __init__(self, sockets: tuple[socket.socket, socket.socket] | None = None) -> None:
        ours, self.peer = sockets or socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.transport = PlainTransport(ours.detach())
        self.fd = self.transport.fileno()

    def close(self) -> None:
        self.transport.close()
        self.peer.close()


def connected_by_tcp() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        return listener.accept()[0], peer


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


class Secure:
    """A transport that is not plain, so that its methods are called."""

    pending = True

    def __init__(self, pair: Pair) -> None:
        self._plain = pair.transport
        self.recv_into = pair.transport.recv_into

    def send(self, chunks: list[bytes]) -> int:
        return self._plain.send([chunk.swapcase() for chunk in chunks])


class TestAccepting:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_a_client_is_known_by_its_host_and_port(self, leaf: Any, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with (
            socket.create_server((host, 0), family=family) as listener,
            socket.create_connection(listener.getsockname()[:2]) as client,
        ):
            fd, peer = leaf.accept(listener)
            assert peer == client.getsockname()[:2]
            assert not os.get_blocking(fd)
            assert not os.get_inheritable(fd)
            os.close(fd)

    def test_ipv4_is_shown_as_such_at_a_socket_for_both(self, leaf: Any) -> None:
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
            port = listener.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                fd, peer = leaf.accept(listener)
                assert peer == client.getsockname()
                os.close(fd)

    @pytest.mark.parametrize(
        ("name", "shown"), [("", ""), ("client", "client"), ("\0client", "\\x00client")], ids=repr
    )
    def test_a_client_of_a_unix_socket_may_have_a_name(
        self, leaf: Any, name: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind("listener")
            listener.listen()
            if name:
                client.bind(name)
            client.connect("listener")
            fd, peer = leaf.accept(listener)
            assert peer == shown
            os.close(fd)

    def test_nobody_may_be_waiting(self, leaf: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            assert leaf.accept(listener) is None

    def test_a_socket_that_does_not_listen_is_an_error(self, leaf: Any, pair: Pair) -> None:
        pair.peer.setblocking(False)
        with pytest.raises(OSError, match="Invalid argument"):
            leaf.accept(pair.peer)


class TestReceiving:
    def test_no_more_is_received_than_was_asked_for(self, leaf: Any, pair: Pair) -> None:
        buffer = leaf.Buffer(bytearray(64))
        pair.peer.sendall(b"hello world")
        assert buffer.receive(pair.transport, pair.fd, 5) == 5
        assert (buffer.copy(), bytes(buffer.view())) == (b"hello", b"hello")
        assert buffer.receive(pair.transport, pair.fd, 64) == 6
        assert buffer.copy() == b" world"

    def test_nor_than_there_is_room_for(self, leaf: Any, pair: Pair) -> None:
        buffer = leaf.Buffer(bytearray(4))
        pair.peer.sendall(b"hello")
        assert buffer.receive(pair.transport, pair.fd, 1000) == 4
        assert buffer.copy() == b"hell"

    def test_it_says_so_if_there_is_nothing(self, leaf: Any, pair: Pair) -> None:
        buffer = leaf.Buffer(bytearray(64))
        assert buffer.receive(pair.transport, pair.fd, 64) == -1
        assert buffer.copy() == b""

    def test_the_peers_end_is_0(self, leaf: Any, pair: Pair) -> None:
        buffer = leaf.Buffer(bytearray(64))
        pair.peer.close()
        assert buffer.receive(pair.transport, pair.fd, 64) == 0

    def test_a_lost_connection_is_an_error(self, leaf: Any, pair: Pair) -> None:
        buffer = leaf.Buffer(bytearray(64))
        pair.transport.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            buffer.receive(pair.transport, -1, 64)

    def test_another_transport_is_asked(self, leaf: Any, pair: Pair) -> None:
        buffer = leaf.Buffer(bytearray(64))
        transport = Secure(pair)
        assert buffer.receive(transport, -1, 64) == -1
        pair.peer.sendall(b"hello")
        assert buffer.receive(transport, -1, 3) == 3
        assert buffer.receive(transport, -1, 64) == 2
        pair.peer.close()
        assert buffer.receive(transport, -1, 64) == 0

    def test_all_of_the_given_memory_is_to_be_handled(self, leaf: Any) -> None:
        buffer = leaf.Buffer(bytearray(b"hello"))
        assert (buffer.size, buffer.start, buffer.end) == (5, 0, 5)
        buffer.start = 2
        assert (buffer.copy(), bytes(buffer.view())) == (b"llo", b"llo")


CHUNKS = st.lists(st.sampled_from((0, 1, 4095, 4096, 4097, 65_535, 65_536, 70_000)) | st.integers(0, 300))


class TestSending:
    @given(sizes=CHUNKS)
    @pytest.mark.parametrize("form", FORMS)
    def test_what_it_says_it_took_is_what_arrives(self, form: str, sizes: list[int]) -> None:
        pair = Pair()
        chunks = [bytes([index % 251]) * size for index, size in enumerate(sizes)]
        taken = FORMS[form].send(pair.transport, pair.fd, chunks)
        pair.transport.close()
        received = b"".join(iter(lambda: pair.peer.recv(1 << 20), b""))
        pair.close()
        assert received == b"".join(chunks)[:taken]
        assert taken or not any(sizes) or not sizes[0]

    def test_many_small_chunks_leave_at_once(self, leaf: Any, pair: Pair) -> None:
        assert leaf.send(pair.transport, pair.fd, [b"ab", memoryview(b"cd")] * 200) == 800
        assert pair.peer.recv(1000) == b"abcd" * 200

    def test_a_full_socket_takes_nothing(self, leaf: Any, pair: Pair) -> None:
        while leaf.send(pair.transport, pair.fd, [bytes(100_000)]):
            pass
        assert leaf.send(pair.transport, pair.fd, [b"more", bytes(100_000)]) == 0

    def test_a_lost_connection_is_an_error(self, leaf: Any, pair: Pair) -> None:
        pair.peer.close()
        with pytest.raises(BrokenPipeError):
            leaf.send(pair.transport, pair.fd, [b"x"])

    def test_another_transport_is_asked(self, leaf: Any, pair: Pair) -> None:
        assert leaf.send(Secure(pair), pair.fd, [b"hello"]) == 5
        assert pair.peer.recv(10) == b"HELLO"

    def test_so_it_is_for_what_it_holds_back(self, leaf: Any, pair: Pair) -> None:
        assert leaf.is_pending(Secure(pair))
        assert not leaf.is_pending(pair.transport)


class TestSendingTheLastBytes:
    def test_all_of_them_arrive_and_then_the_end(self, leaf: Any) -> None:
        pair = Pair(connected_by_tcp())
        assert leaf.send_last(pair.transport, pair.fd, [b"good", memoryview(b"bye")]) == 7
        pair.transport.close()
        assert list(iter(lambda: pair.peer.recv(10), b"")) == [b"goodbye"]
        pair.close()

    def test_closing_with_input_unread_loses_none_of_them(self, leaf: Any) -> None:
        pair = Pair(connected_by_tcp())
        pair.peer.sendall(b"never read")
        leaf.send_last(pair.transport, pair.fd, [b"goodbye"])
        pair.transport.close()
        assert pair.peer.recv(10) == b"goodbye"
        pair.close()

    def test_the_end_waits_for_what_the_socket_does_not_take(self, leaf: Any) -> None:
        pair = Pair(connected_by_tcp())
        rest = memoryview(bytes(16 << 20))
        arrived = 0
        while rest:
            rest = rest[leaf.send_last(pair.transport, pair.fd, [rest]) :]
            arrived += len(pair.peer.recv(1 << 20))
        pair.transport.close()
        assert arrived + len(b"".join(iter(lambda: pair.peer.recv(1 << 20), b""))) == 16 << 20
        pair.close()

    def test_without_any_nothing_is_sent(self, leaf: Any, pair: Pair) -> None:
        assert leaf.send_last(pair.transport, pair.fd, []) == 0

    def test_another_transport_is_asked(self, leaf: Any, pair: Pair) -> None:
        assert leaf.send_last(Secure(pair), pair.fd, [b"goodbye"]) == 7
        assert pair.peer.recv(10) == b"GOODBYE"


class TestTheSystem:
    def test_the_clock_is_that_of_python(self, leaf: Any) -> None:
        before = time.monotonic()
        now = leaf.monotonic()
        # The two round nanoseconds to a float differently.
        assert before - 1e-6 <= now <= time.monotonic() + 1e-6

    def test_each_thread_has_its_number(self, leaf: Any) -> None:
        assert leaf.thread_id() == monkey.get_original("_thread", "get_ident")()
        assert gevent.get_hub().threadpool.apply(leaf.thread_id) != leaf.thread_id()

    def test_one_more_reference_counts_as_one(self, leaf: Any) -> None:
        thing = object()
        count = leaf.references(thing)
        another = thing
        assert leaf.references(thing) == count + 1
        del another
