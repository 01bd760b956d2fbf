"""Back-pressure: a full buffer makes only its own sender wait, and memory stays bounded."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult, Event

from geventkws import WebSocketCloseReasonCode as Code
from geventkws import WebSocketConnection, broadcast
from geventkws.loop.loop import RECEIVE_BUFFER_SIZE
from tests.integration.conftest import Echo, Recorder, Serve, Site
from tests.raw import BINARY, CLOSE, PING, PONG, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE, wait_until
from tests.websocket.lines import connection_on

LIMIT = 50_000
SIZE = 5_000
"""Bytes in a test's message; several fit below the limit."""


def narrow(site: Site) -> Site:
    """Let the kernel buffer little for connections accepted from now on."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        site.server.socket.setsockopt(socket.SOL_SOCKET, option, 8_192)
    return site


def connect_slow_reader(site: Site) -> RawClient:
    return site.connect(receive_buffer=4_096)


def message(index: int) -> bytes:
    return index.to_bytes(4, "big") * (SIZE // 4)


def wait_until_still(value: Callable[[], int]) -> int:
    """Return a value once it has stopped changing."""
    with gevent.Timeout(PATIENCE):
        last, still = value(), 0
        while still < 5:
            gevent.sleep(0.02)
            now = value()
            last, still = now, still + 1 if now == last else 0
    return last


class Flooded:
    """A connection on which a callback sends faster than the client reads, until ``send`` blocks."""

    def __init__(self, serve: Serve, count: int = 1000, **options: Any) -> None:
        self.count = count
        self.sent: list[bool] = []
        self.service = Recorder(received=self.flood)
        self.site = narrow(serve(self.service, max_send_buffer=LIMIT, **options))
        self.client = connect_slow_reader(self.site)
        self.client.send(masked(TEXT, "flood"))
        self.blocked_at = wait_until_still(lambda: len(self.sent))
        self.connection = self.service.connections[0]

    def flood(self, text: str, connection: WebSocketConnection) -> None:
        if text == "flood":
            for index in range(self.count):
                self.sent.append(connection.send(message(index)))
                if not self.sent[-1]:
                    break

    def outcome(self) -> int:
        """Wait for ``disconnected`` and return its reason."""
        while (call := self.service.calls.get(timeout=PATIENCE))[0] != "disconnected":
            pass
        return int(call[1])


@pytest.fixture
def flooded(serve: Serve) -> Flooded:
    return Flooded(serve)


class TestSend:
    def test_it_blocks_at_the_limit_and_goes_on_as_the_peer_reads(self, flooded: Flooded) -> None:
        assert 0 < flooded.blocked_at * SIZE < LIMIT + 200_000, "the limit and what the kernel holds"
        for index in range(flooded.count):
            assert flooded.client.frame() == Frame(BINARY, message(index))
        wait_until(lambda: len(flooded.sent) == flooded.count)
        assert all(flooded.sent)

    def test_only_the_sender_waits(self, flooded: Flooded) -> None:
        other = flooded.site.connect()
        flooded.service.callbacks["received"] = lambda text, connection: connection.send(text)
        for index in range(10):
            other.send(masked(TEXT, f"{index}"))
            assert other.frame() == Frame(TEXT, b"%d" % index)
        assert len(flooded.sent) == flooded.blocked_at

    def test_any_greenlet_waits_there_and_each_keeps_its_order(self, flooded: Flooded) -> None:
        def send_more(name: int) -> None:
            for index in range(20):
                assert flooded.connection.send(f"{name} {index}")

        greenlets = [gevent.spawn(send_more, name) for name in range(3)]
        gevent.sleep(0.02)
        assert not any(greenlet.ready() for greenlet in greenlets)
        frames = [flooded.client.frame() for _ in range(flooded.count + 60)]
        assert [f.payload for f in frames if f.opcode == BINARY] == [message(i) for i in range(flooded.count)]
        texts = [frame.payload.decode() for frame in frames if frame.opcode == TEXT]
        for name in range(3):
            assert [t for t in texts if t.startswith(f"{name} ")] == [f"{name} {i}" for i in range(20)]
        gevent.joinall(greenlets, timeout=PATIENCE, raise_error=True)

    def test_a_ping_waits_like_a_message(self, flooded: Flooded) -> None:
        ping = gevent.spawn(flooded.connection.ping, "are you there")
        gevent.sleep(0.02)
        assert not ping.ready()
        assert flooded.connection.active
        while flooded.client.frame() != Frame(PING, b"are you there"):
            pass
        assert ping.get(timeout=PATIENCE) is True

    def test_a_peer_that_reads_nothing_is_dropped_with_1006_after_send_timeout(self, serve: Serve) -> None:
        flooded = Flooded(serve, send_timeout=0.4)
        assert flooded.outcome() == Code.CLOSED_ABNORMALLY
        assert flooded.sent[-1] is False
        flooded.site.wait_until_empty()

    def test_a_peer_that_reads_a_little_is_not(self, serve: Serve) -> None:
        flooded = Flooded(serve, count=40, send_timeout=2.0)
        for index in range(40):
            assert flooded.client.frame() == Frame(BINARY, message(index))
            gevent.sleep(0.06)  # in all, longer than ``send_timeout``
        wait_until(lambda: len(flooded.sent) == 40)
        assert all(flooded.sent)

    def test_a_connection_that_is_lost_lets_the_sender_go(self, flooded: Flooded) -> None:
        flooded.client.reset()
        assert flooded.outcome() == Code.CLOSED_ABNORMALLY
        assert flooded.sent[flooded.blocked_at :] == [False]

    def test_a_peer_that_closes_lets_the_sender_go_when_its_time_has_come(self, serve: Serve) -> None:
        flooded = Flooded(serve, close_timeout=0.3)
        flooded.client.send(close_frame(1001))
        assert flooded.outcome() == 1001
        assert flooded.sent[-1] is False

    @pytest.mark.parametrize("end", ["close", "drop"])
    def test_an_end_by_another_greenlet_lets_the_sender_go_at_once(self, flooded: Flooded, end: str) -> None:
        getattr(flooded.connection, end)(4000)
        wait_until(lambda: flooded.sent[-1] is False)
        assert flooded.client.close_code() == (4000, "")
        flooded.client.send(close_frame(4000))
        assert flooded.outcome() == 4000

    def test_a_killed_sender_takes_nobodys_turn(self, flooded: Flooded) -> None:
        victim = gevent.spawn(flooded.connection.send, "never sent")
        patient = gevent.spawn(flooded.connection.send, "sent")
        hasty = gevent.spawn(
            lambda: gevent.with_timeout(0.01, flooded.connection.send, "x", timeout_value=None)
        )
        gevent.sleep(0.05)
        victim.kill()
        assert hasty.get(timeout=PATIENCE) is None
        frames = [flooded.client.frame() for _ in range(flooded.count + 1)]
        assert [frame.payload for frame in frames if frame.opcode == TEXT] == [b"sent"]
        assert patient.get(timeout=PATIENCE) is True

    def test_in_the_hub_it_never_blocks_and_ends_the_connection_with_1013(self, flooded: Flooded) -> None:
        result: AsyncResult[bool] = AsyncResult()

        def send_from_a_timer() -> None:
            # Some more may fit, where the kernel has just taken some.
            taken = [flooded.connection.send(message(0)) for _ in range(10)]
            result.set(all(taken))

        gevent.get_hub().loop.run_callback(send_from_a_timer)
        assert result.get(timeout=PATIENCE) is False
        assert flooded.client.close_code()[0] == Code.TRY_AGAIN_LATER
        assert flooded.outcome() == Code.TRY_AGAIN_LATER

    def test_in_the_hub_it_sends_if_there_is_room(self, serve: Serve) -> None:
        service = Recorder()
        client = serve(service).connect()
        service.expect("connected")
        gevent.get_hub().loop.run_callback(service.connections[0].send, "from a timer")
        assert client.frame() == Frame(TEXT, b"from a timer")

    def test_a_message_beyond_the_limit_is_sent_whole(self, serve: Serve) -> None:
        big = bytes(range(256)) * 4_000
        site = narrow(
            serve(Recorder(received=lambda text, connection: connection.send(big)), max_send_buffer=LIMIT)
        )
        client = connect_slow_reader(site)
        client.send(masked(TEXT, "go"))
        assert client.frame() == Frame(BINARY, big)


class TestBroadcast:
    def test_it_ends_those_over_the_limit_with_1013_and_waits_for_nobody(self, flooded: Flooded) -> None:
        others = [flooded.site.connect() for _ in range(3)]
        wait_until(lambda: len(flooded.service.connections) == 4)
        result: AsyncResult[int] = AsyncResult()
        connections = list(flooded.service.connections)

        def broadcast_from_a_timer() -> None:
            # Some more may fit, where the kernel has just taken some.
            result.set(min(broadcast(connections, "news" * 1_000) for _ in range(10)))

        gevent.get_hub().loop.run_callback(broadcast_from_a_timer)  # where waiting would be an error
        assert result.get(timeout=PATIENCE) == 3
        for other in others:
            assert [other.frame() for _ in range(10)] == [Frame(TEXT, b"news" * 1_000)] * 10
        assert flooded.client.close_code()[0] == Code.TRY_AGAIN_LATER
        assert flooded.outcome() == Code.TRY_AGAIN_LATER
        assert all(connection.active for connection in connections[1:])


class TestOrder:
    def test_nothing_overtakes_what_is_corked(self, serve: Serve) -> None:
        """Neither small nor large messages, pings or broadcasts, nor a full buffer, which flushes at once."""
        script: list[Frame] = []

        def received(text: str, connection: WebSocketConnection) -> None:
            for index in range(40):
                small, large = b"%d" % index, b"%d" % (index % 10) * 30_000
                connection.send(small)
                broadcast([connection], small)
                connection.ping(small)
                connection.send(large)
                script.extend(
                    [Frame(BINARY, small), Frame(BINARY, small), Frame(PING, small), Frame(BINARY, large)]
                )
            connection.close()

        client = connect_slow_reader(narrow(serve(Recorder(received=received), max_send_buffer=LIMIT)))
        client.send(masked(TEXT, "go"))
        frames = []
        while (frame := client.frame()).opcode != CLOSE:
            frames.append(frame)
        assert frames == script

    def test_a_message_from_elsewhere_follows_what_the_batch_had_sent(self, serve: Serve) -> None:
        """Another connection's callback sends to this one while its own worker blocks, and afterwards."""
        go_on = Event()

        def received(text: str, connection: WebSocketConnection) -> None:
            first = service.connections[0]
            if text == "begin":
                first.send("1")
                first.send("2")
                go_on.wait(PATIENCE)
                first.send("4")
            else:
                first.send("3")
                go_on.set()

        service = Recorder(received=received)
        site = serve(service)
        first, second = site.connect(), site.connect()
        first.send(masked(TEXT, "begin"))
        assert [first.frame().payload for _ in range(2)] == [b"1", b"2"], "sent before it blocked"
        second.send(masked(TEXT, "continue"))
        assert [first.frame().payload for _ in range(2)] == [b"3", b"4"]

    def test_what_a_batch_sends_to_all_leaves_in_one_write_each(self, serve: Serve) -> None:
        def received(text: str, connection: WebSocketConnection) -> None:
            for index in range(10):
                for each in service.connections:
                    each.send(f"{index}")

        service = Recorder(received=received)
        site = serve(service)
        clients = [site.connect() for _ in range(3)]
        for _ in clients:
            service.expect("connected")
        before = [segments_sent(connection) for connection in service.connections]
        clients[0].send(masked(TEXT, "go"))
        for client in clients:
            assert [client.frame() for _ in range(10)] == [Frame(TEXT, b"%d" % index) for index in range(10)]
        after = [segments_sent(connection) for connection in service.connections]
        assert [now - then for then, now in zip(before, after, strict=True)] == [1, 1, 1]


def segments_sent(connection: WebSocketConnection) -> int:
    """Return how many TCP segments with data were sent: without delays, one for each small write."""
    with socket.socket(fileno=os.dup(connection._channel.transport.fileno())) as ours:
        information = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return int.from_bytes(information[156:160], sys.byteorder)  # tcpi_data_segs_out of Linux's tcp_info


class TestInbox:
    @pytest.mark.parametrize(
        ("size", "count", "options"),
        [
            pytest.param(2, 40_000, {"max_inbox_messages": 4}, id="by count"),
            pytest.param(SIZE, 200, {"max_inbox_size": LIMIT, "max_inbox_messages": 100_000}, id="by size"),
        ],
    )
    def test_a_full_inbox_stops_the_reading_until_there_is_room(
        self, serve: Serve, size: int, count: int, options: dict[str, int]
    ) -> None:
        release = Event()
        received: list[str | bytes] = []

        def slow(message: str | bytes, connection: WebSocketConnection) -> None:
            release.wait(PATIENCE)
            received.append(message)

        service = Recorder(received=slow)
        client = narrow(serve(service, **options)).connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        sent: list[int] = []

        def send_all() -> None:
            for start in range(0, count, 100):
                end = min(start + 100, count)
                client.send(
                    b"".join(
                        masked(BINARY, i.to_bytes(4, "big")[-size:] * max(size // 4, 1))
                        for i in range(start, end)
                    )
                )
                sent.append(end)

        sender = gevent.spawn(send_all)
        stalled_at = wait_until_still(lambda: len(sent))
        assert stalled_at < len(range(0, count, 100)) / 2, "the peer could send on and on"
        assert not received
        release.set()
        sender.get(timeout=PATIENCE)
        wait_until(lambda: len(received) == count)
        assert [bytes(m[:4])[-size:] for m in received if isinstance(m, bytes)] == [
            index.to_bytes(4, "big")[-size:] for index in range(count)
        ]
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")

    def test_what_one_read_brings_is_always_taken(self, serve: Serve) -> None:
        service = Echo()
        client = serve(service, max_inbox_messages=1, max_inbox_size=1).connect()
        client.send(b"".join(masked(TEXT, f"{index}") for index in range(300)) + close_frame(1000))
        assert [client.frame().payload for _ in range(300)] == [b"%d" % index for index in range(300)]
        assert client.close_code() == (1000, "")

    def test_a_read_that_fills_it_is_the_last_though_a_long_message_has_begun(self) -> None:
        release = Event()
        service = Recorder(received=lambda message, connection: release.wait(PATIENCE))
        service.max_message_size = 1024 * 1024
        ours, peer = socket.socketpair()
        with peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 212_992)  # what Linux allows by default
            peer.setblocking(False)
            connection = connection_on(ours, service, max_inbox_messages=4)
            sent = masked(TEXT, "x") * 5 + masked(BINARY, bytes(service.max_message_size))
            sent = sent[: RECEIVE_BUFFER_SIZE + 10_000]
            while sent:  # without a turn of the hub, so that its first read finds everything
                sent = sent[peer.send(sent[:32_768]) :]
            gevent.sleep(0.05)
            assert connection.traffic.bytes_received == RECEIVE_BUFFER_SIZE
            connection.drop()
            release.set()
            gevent.sleep(0.01)

    @pytest.mark.parametrize("how", ["close", "drop"])
    def test_an_end_with_a_full_inbox_and_a_half_closed_peer_is_complete(
        self, serve: Serve, how: str
    ) -> None:
        def received(message: str, connection: WebSocketConnection) -> None:
            gevent.sleep(0.05)
            getattr(connection, how)(4000)

        service = Recorder(received=received)
        site = serve(service, max_inbox_messages=2)
        client = site.connect()
        client.send(masked(TEXT, "x") * 10)
        client.half_close()
        client.read_to_end()
        client.close()
        site.wait_until_empty()
        names = [call[0] for call in service.calls.queue]
        assert names == ["connected", "received", "disconnected"]

    def test_a_close_frame_survives_a_full_inbox(self, serve: Serve) -> None:
        """The peer's time is up while the service is busy; unread bytes must not reset the connection."""
        release = Event()
        service = Recorder(received=lambda message, connection: release.wait(PATIENCE))
        site = serve(service, max_inbox_messages=4, close_timeout=0.3)
        client = site.connect()
        client.send(masked(TEXT, "x") * 3 + close_frame(1000))
        gevent.sleep(0.1)
        client.send(bytes(100_000))
        assert client.close_code() == (1000, "")
        client.close()
        release.set()
        site.wait_until_empty()


@pytest.mark.parametrize("slow_consumer", [False, True], ids=["fast consumer", "slow consumer"])
@pytest.mark.parametrize("slow_callback", [False, True], ids=["fast callback", "slow callback"])
@pytest.mark.parametrize("slow_sender", [False, True], ids=["fast sender", "slow sender"])
def test_every_combination_of_speeds_delivers_all_in_order(
    serve: Serve, slow_consumer: bool, slow_callback: bool, slow_sender: bool
) -> None:
    count = 100

    def echo(data: bytes, connection: WebSocketConnection) -> None:
        if slow_callback:
            gevent.sleep(0.002)
        connection.send(data)

    service = Recorder(received=echo)
    site = narrow(serve(service, max_send_buffer=20_000, max_inbox_size=20_000, max_inbox_messages=4))
    client = connect_slow_reader(site)

    def send_all() -> None:
        for index in range(count):
            client.send(masked(BINARY, message(index)))
            if slow_sender:
                gevent.sleep(0.002)
        client.send(close_frame(1000))

    sender = gevent.spawn(send_all)
    for index in range(count):
        assert client.frame() == Frame(BINARY, message(index))
        if slow_consumer:
            gevent.sleep(0.003)
    assert client.close_code() == (1000, "")
    sender.get(timeout=PATIENCE)


class TestPings:
    def test_a_flood_that_reads_no_answers_is_answered_with_its_latest_ping(self, serve: Serve) -> None:
        service = Recorder()
        client = connect_slow_reader(narrow(serve(service)))
        count = 20_000
        for start in range(0, count, 500):
            client.send(b"".join(masked(PING, b"%0120d" % index) for index in range(start, start + 500)))
        client.send(masked(TEXT, "heard"))
        service.expect("connected")
        service.expect("received", "heard")  # it was read to its end all the same
        size = service.connections[0]._endpoint.output_size
        assert size < 300_000, "no more than what one read asks for"
        numbers: list[int] = []
        while not numbers or numbers[-1] != count - 1:
            frame = client.frame()
            assert frame.opcode == PONG
            numbers.append(int(frame.payload))
        assert numbers == sorted(set(numbers))
        assert len(numbers) < count / 2

    def test_each_ping_of_a_peer_that_reads_is_answered(self, serve: Serve) -> None:
        client = serve(Recorder()).connect()
        client.send(b"".join(masked(PING, b"%d" % index) for index in range(100)))
        assert [client.frame() for _ in range(100)] == [Frame(PONG, b"%d" % index) for index in range(100)]

    def test_a_ping_between_fragments_is_answered_while_a_callback_is_busy(self, serve: Serve) -> None:
        release = Event()
        client = serve(Recorder(received=lambda message, connection: release.wait(PATIENCE))).connect()
        client.send(masked(TEXT, "work") + masked(TEXT, "a", fin=False) + masked(PING, "?"))
        assert client.frame() == Frame(PONG, b"?")
        release.set()


def test_slow_connections_never_delay_another(serve: Serve) -> None:
    release = Event()

    def received(text: str, connection: WebSocketConnection) -> None:
        if text == "slow":
            release.wait(PATIENCE)
        connection.send(text)

    site = serve(Recorder(received=received))
    slow = [site.connect() for _ in range(50)]
    for client in slow:
        client.send(masked(TEXT, "slow"))
    quick = site.connect()
    with gevent.Timeout(PATIENCE):
        for index in range(100):
            quick.send(masked(TEXT, f"{index}"))
            assert quick.frame() == Frame(TEXT, b"%d" % index)
    release.set()
    for client in slow:
        assert client.frame() == Frame(TEXT, b"slow")


class TestTheWeightOfText:
    def test_text_counts_as_much_as_it_takes_in_memory(self, serve: Serve) -> None:
        release = Event()
        service = Recorder(received=lambda message, connection: release.wait(PATIENCE))
        client = serve(service, max_inbox_size=100_000).connect()
        client.send(masked(TEXT, "work"))
        service.expect("connected")
        service.expect("received", "work")
        client.send(masked(TEXT, "x" * 500) + masked(TEXT, "é" * 500))
        connection = service.connections[0]
        with gevent.Timeout(PATIENCE):
            while connection._inbox_size < 2_500:
                gevent.sleep(0.002)
        assert connection._inbox_size == 2_500
        release.set()
        service.expect("received", "x" * 500)
        service.expect("received", "é" * 500)
        with gevent.Timeout(PATIENCE):
            while connection._inbox_size:
                gevent.sleep(0.002)


def test_what_was_sent_before_a_drop_may_take_longer_than_close_timeout(serve: Serve) -> None:
    """It is sent as long as the peer takes some of it now and then."""
    sent = bytes(3_000_000)

    def received(message: str, connection: WebSocketConnection) -> None:
        connection.send(sent)
        connection.drop(4000)

    site = serve(Recorder(received=received), close_timeout=0.3, max_send_buffer=4_000_000)
    client = site.connect(receive_buffer=8192)
    client.send(masked(TEXT, "go"))
    data = b""
    for _ in range(8):
        gevent.sleep(0.1)
        data += client.sock.recv(200_000)
    while len(data) < len(sent):
        data += client.sock.recv(1 << 20)
    assert data[10:][: len(sent)] == sent
