"""The TLS transport on a socket pair: what a watcher of its descriptor can rely on."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator

import pytest

from geventkws.net.tls import TLSTransport
from geventkws.net.tls_records import LEAST_RECEIVED, MAX_CIPHERTEXT, MAX_PLAINTEXT, records
from geventkws.net.transport import PlainTransport
from tests.certificates import Certificates
from tests.tls import RecordSocket


class Pair:
    """A client and the server's transport, after the handshake."""

    def __init__(self, certificates: Certificates, version: ssl.TLSVersion) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.client = RecordSocket(theirs, certificates.client(version))
        self.transport = TLSTransport(PlainTransport(ours.detach()), certificates.server())
        done = False
        while not done:
            try:
                self.client.handshake()
                done = True
            except BlockingIOError:
                pass
            done = self.transport.handshake() and done

    def readable(self) -> bool:
        return bool(select.select([self.transport.fileno()], [], [], 0)[0])

    def close(self) -> None:
        self.client.close()
        self.transport.close()


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda version: version.name)
def pair(certificates: Certificates, request: pytest.FixtureRequest) -> Iterator[Pair]:
    pair = Pair(certificates, request.param)
    yield pair
    pair.close()


LEAST_ROOM = MAX_CIPHERTEXT + 1
"""With which ciphertext is received byte by byte."""

ROOMS = (20_000, 64 * 1024, 256 * 1024)


@pytest.mark.parametrize(
    ("room", "size"),
    [
        *((room, size) for room in (LEAST_ROOM, *ROOMS) for size in (1, 5_000, 16_384, 16_385)),
        *((room, 100_000) for room in ROOMS),
    ],
)
def test_nothing_is_left_behind_when_the_descriptor_is_no_longer_readable(
    pair: Pair, size: int, room: int
) -> None:
    pair.client.sendall(bytes(size))
    buffer = bytearray(room)
    received = 0
    while pair.readable():
        received += pair.transport.recv_into(memoryview(buffer)) or 0
    assert received == size
    assert pair.transport.recv_into(memoryview(buffer)) is None


def test_one_read_of_the_socket_is_enough_even_if_it_gives_nothing(pair: Pair) -> None:
    """Otherwise a peer that keeps sending records without data would have the hub to itself."""
    pair.client.sendall(bytes(1_000))
    buffer = memoryview(bytearray(MAX_CIPHERTEXT + 100))
    calls = 1
    while pair.transport.recv_into(buffer) is None:
        assert pair.readable()
        calls += 1
    assert calls == 1 + 1_000 // 100


def test_little_is_taken_at_once_from_a_peer_whose_records_hold_little(pair: Pair) -> None:
    """Key updates hold nothing, and a second of CPU time fits into a megabyte of them."""
    pair.client.holding = True
    pair.client.sendall(b"much" * 10_000)
    for _ in range(4_000):
        pair.client.sendall(b"x")
    pair.client.holding = False
    pair.client.flush()
    buffer = memoryview(bytearray(256 * 1024))
    received = []
    while pair.readable():
        received.append(pair.transport.recv_into(buffer) or 0)
    assert sum(received) == 44_000
    assert max(received) > MAX_PLAINTEXT  # several full records
    assert max(received[-3:]) < LEAST_RECEIVED / 20  # their records have 23 bytes


def test_an_end_after_data_keeps_the_descriptor_readable(pair: Pair) -> None:
    pair.client.holding = True
    pair.client.sendall(b"last")
    pair.client.close_notify()
    pair.client.holding = False
    pair.client.flush()
    assert pair.transport.recv(64 * 1024) == b"last"
    for _ in range(2):
        assert pair.readable()
        assert pair.transport.recv(64 * 1024) == b""


def test_data_before_a_broken_record_is_received(pair: Pair) -> None:
    pair.client.sendall(b"fine")
    pair.client.holding = True
    pair.client.sendall(b"forged")
    record = bytearray(pair.client.take())
    record[-1] ^= 1
    pair.client.sock.sendall(record)
    assert pair.transport.recv(64 * 1024) == b"fine"
    assert pair.readable()
    assert pair.transport.recv(64 * 1024) == b""


def test_what_the_socket_does_not_take_is_not_encrypted_in_advance(pair: Pair) -> None:
    chunk = bytes(1024 * 1024)
    sent = 0
    while now := pair.transport.send([memoryview(chunk)[sent:]]):
        sent += now
    assert 0 < sent < len(chunk)
    assert pair.transport.pending
    assert pair.transport.send([chunk]) == 0
    received = 0
    while received < sent:
        received += len(pair.client.recv(64 * 1024))
        pair.transport.send([])
    assert received == sent
    assert not pair.transport.pending


def test_closing_twice_does_nothing(pair: Pair) -> None:
    pair.transport.close()
    pair.transport.close()
    assert pair.transport.fileno() == -1
    assert not pair.transport.pending
    assert pair.client.recv(10) == b""


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([0], []),
        ([10, 20], [30]),
        ([16_384], [16_384]),
        ([10, 16_384], [10, 16_384]),
        ([10, 40_000, 10], [10, 16_384, 16_384, 7_242]),
    ],
)
def test_small_chunks_share_a_record_and_large_ones_are_cut(sizes: list[int], expected: list[int]) -> None:
    assert [len(record) for record in records([bytes(size) for size in sizes])] == expected
