"""permessage-deflate over real sockets, with ``websockets`` as the client, and with raw frames."""

from __future__ import annotations

import socket
import zlib
from contextlib import closing
from itertools import pairwise
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws import PerMessageDeflate, broadcast
from geventkws.protocol.deflate import deflate_for
from tests.integration.conftest import Echo, Recorder, Serve
from tests.raw import BINARY, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE
from tests.websocket.lines import connection_on

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
RSV1 = 0x40


def compressed_text(text: str) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    payload = deflater.compress(text.encode()) + deflater.flush(zlib.Z_SYNC_FLUSH)
    frame = bytearray(masked(TEXT, payload[:-4]))
    frame[0] |= RSV1
    return bytes(frame)


def inflated_text(client: RawClient, inflater=None) -> str:
    """Return the next message, which must be compressed."""
    head = client.peek(1)[0]
    assert head & RSV1, "the message is not compressed"
    client.clear_reserved_bits()
    inflater = inflater or zlib.decompressobj(wbits=-15)
    text: bytes = inflater.decompress(client.frame().payload + b"\0\0\xff\xff")
    return text.decode()


class Compressing(Echo):
    compression: bool | PerMessageDeflate = True


@pytest.mark.parametrize("compression", [True, PerMessageDeflate(), PerMessageDeflate(threshold=0)])
def test_messages_are_compressed_both_ways(serve: Serve, compression) -> None:
    service = Compressing()
    service.compression = compression
    client = serve(service).connect("/service", OFFER)
    assert "Sec-WebSocket-Extensions: permessage-deflate" in client.head
    text = "hello, " * 1000
    client.send(compressed_text(text))
    assert inflated_text(client) == text
    service.expect("connected")
    service.expect("received", text)


def test_context_taken_over_by_both_sides(serve: Serve) -> None:
    service = Compressing()
    service.compression = PerMessageDeflate(
        server_no_context_takeover=False, client_no_context_takeover=False
    )
    client = serve(service).connect("/service", OFFER)
    assert "no_context_takeover" not in client.head
    inflater = zlib.decompressobj(wbits=-15)
    for index in range(5):
        text = f"number {index}: " + "the same again and again, " * 40
        client.send(masked(TEXT, text))
        assert inflated_text(client, inflater) == text


def test_short_messages_and_those_sent_with_compress_false_stay_as_they_are(serve: Serve) -> None:
    def received(text, connection) -> None:
        connection.send("x" * 5000, compress=False)

    service = Recorder(received=received)
    service.compression = True
    client = serve(service).connect("/service", OFFER)
    client.send(masked(TEXT, "go"))
    assert client.frame() == Frame(TEXT, b"x" * 5000)


def test_a_client_without_the_extension_is_served_without(serve: Serve) -> None:
    client = serve(Compressing()).connect()
    assert "Extensions" not in client.head
    client.send(masked(TEXT, "hello, " * 1000))
    assert client.frame() == Frame(TEXT, b"hello, " * 1000)


def test_a_service_that_does_not_opt_in_declines(serve: Serve) -> None:
    client = serve(Echo()).connect("/service", OFFER)
    assert "Extensions" not in client.head
    client.send(compressed_text("hello"))
    assert client.close_code()[0] == 1002


def test_a_broadcast_reaches_each_client_in_its_own_way(serve: Serve) -> None:
    service = Recorder(received=lambda text, connection: broadcast(service.connections, text * 1000))
    service.compression = True
    site = serve(service)
    plain, deflated = site.connect(), site.connect("/service", OFFER)
    for _ in range(2):
        service.expect("connected")
    plain.send(masked(TEXT, "again "))
    assert plain.frame() == Frame(TEXT, b"again " * 1000)
    assert inflated_text(deflated) == "again " * 1000


def test_a_bomb_is_1009(serve: Serve) -> None:
    service = Compressing()
    site = serve(service)
    client = site.connect("/service", OFFER)
    client.send(compressed_text("\0" * (8 << 20)))
    assert client.close_code()[0] == 1009
    other = site.connect("/service", OFFER)
    other.send(close_frame(1000))
    assert other.close_code() == (1000, "")


class TestManyBombsAtOnce:
    """Each is within ``max_message_size``, but what arrives in one read inflates to a hundred times that."""

    COUNT = 100
    AT_ONCE = 5
    """As many as one read may contain, whole or in part."""

    @pytest.fixture
    def bombs(self) -> bytes:
        return b"".join(compressed_text(f"{index:<1000000}") for index in range(self.COUNT))

    def test_the_inbox_holds_what_fits_and_all_is_delivered_in_order(
        self, serve: Serve, bombs: bytes
    ) -> None:
        release = Event()
        received: list[int] = []

        def slow(message: str, connection: object) -> None:
            release.wait(PATIENCE)
            received.append(int(message))

        service = Recorder(received=slow)
        service.compression = True
        client = serve(service).connect("/service", OFFER)
        service.expect("connected")
        client.send(bombs + close_frame(1000))
        gevent.sleep(0.2)
        [connection] = service.connections
        assert 0 < connection.traffic.messages_received <= self.AT_ONCE
        release.set()
        assert client.close_code() == (1000, "")
        assert received == list(range(self.COUNT))

    def test_others_have_their_turn_in_between(self, serve: Serve, bombs: bytes) -> None:
        received: list[int] = []
        service = Recorder(received=lambda message, connection: received.append(int(message)))
        service.compression = True
        client = serve(service).connect("/service", OFFER)
        readable, other = socket.socketpair()
        seen = [0]
        watcher: Any = gevent.get_hub().loop.io(readable.fileno(), 1)
        with readable, other, closing(watcher):
            other.send(b"x")
            watcher.start(lambda: seen.append(len(received)))
            client.send(bombs)
            with gevent.Timeout(PATIENCE):
                while seen[-1] < self.COUNT:
                    gevent.sleep(0.01)
            watcher.stop()
        assert max(after - before for before, after in pairwise(seen)) <= self.AT_ONCE
        assert received == list(range(self.COUNT))

    def test_a_connection_that_ends_forgets_the_rest(self, serve: Serve, bombs: bytes) -> None:
        service = Recorder(received=lambda message, connection: connection.drop())
        service.compression = True
        site = serve(service)
        client = site.connect("/service", OFFER)
        client.send(bombs[:100_000])
        client.close()
        site.wait_until_empty()
        assert [call[0] for call in service.calls.queue] == ["connected", "received", "disconnected"]

    def test_none_may_come_with_the_upgrade_request(self, serve: Serve, bombs: bytes) -> None:
        site = serve(Compressing())
        assert site.connect("/service", OFFER, behind=bombs[:4_096]).head.startswith("HTTP/1.1 101 ")
        refused = site.connect("/service", OFFER, behind=bombs[:5_000])
        assert refused.head.startswith("HTTP/1.1 400 ")
        assert b"must wait for the answer" in refused.read_to_end()


def test_a_close_frame_after_messages_counts_if_it_came_in_time() -> None:
    service = Recorder()
    ours, peer = socket.socketpair()
    with peer:
        connection = connection_on(ours, service, deflate_for(PerMessageDeflate()), close_timeout=5)
        connection.close()
        gevent.sleep(0.01)
        # The following happens in one turn of the hub: the peer has answered, and its time is up.
        peer.send(b"".join(masked(BINARY, bytes(1_000)) for _ in range(20)) + close_frame(1000))
        gevent.get_hub().loop.run_callback(connection._check, monotonic() + 5)
        gevent.sleep(0.01)
        assert connection.traffic.messages_received == 20
        peer.close()
        gevent.sleep(0.01)
        service.expect("connected")
        service.expect("disconnected", 1000)
