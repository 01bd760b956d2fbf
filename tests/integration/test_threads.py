"""Native threads: they send, ping, close, drop and broadcast to connections that live in the hub."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import monkey
from gevent.threadpool import ThreadPool

from geventkws import WebSocketConnection, broadcast
from geventkws.loop.loop import allocate_lock
from geventkws.websocket.thread_gate import CALL_SIZE
from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import CLOSE, PING, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE

start_new_thread: Callable[..., int] = monkey.get_original("_thread", "start_new_thread")

THREADS = 8
LIMIT = 20_000


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """Real threads; request it before ``serve``, whose end releases those that wait."""
    pool = ThreadPool(THREADS)
    yield pool
    pool.kill()


class One:
    """A service's only connection, and its client."""

    def __init__(self, serve: Serve, narrow: bool = False, **options: Any) -> None:
        self.service = Recorder(received=lambda message, connection: connection.send(message))
        self.site: Site = serve(self.service, **options)
        if narrow:
            self.site.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        self.client = self.site.connect(receive_buffer=4_096 if narrow else None)
        self.service.expect("connected")
        self.connection = self.service.connections[0]


def payloads(client: RawClient, count: int) -> Iterator[bytes]:
    """Yield the payloads of ``count`` messages, many times faster than ``RawClient.frame`` would."""
    buffer = bytearray()
    position = 0
    for _ in range(count):
        while True:
            length, head = (buffer[position + 1], 2) if len(buffer) > position + 4 else (0, 0)
            if length == 126:
                length, head = int.from_bytes(buffer[position + 2 : position + 4], "big"), 4
            end = position + head + length
            if head and len(buffer) >= end:
                break
            data = client.sock.recv(256 * 1024)
            assert data, "the server has closed"
            buffer, position = buffer[position:] + data, 0
        assert buffer[position] == 0x80 | TEXT
        yield bytes(buffer[position + head : end])
        position = end


def test_eight_threads_send_ten_thousand_messages_each(pool: ThreadPool, serve: Serve) -> None:
    one = One(serve, max_send_buffer=100_000)
    count = 10_000

    def send_all(thread: int) -> bool:
        taken = True
        for index in range(count):
            filling = str(thread) * (20_000 if index % 500 == 0 else index % 50)
            taken &= one.connection.send(f"{thread} {index} {filling}")
        return taken

    threads = [pool.spawn(send_all, thread) for thread in range(THREADS)]
    last = [-1] * THREADS
    for payload in payloads(one.client, THREADS * count):
        number, index, filling = payload.decode().split(" ")
        thread = int(number)
        last[thread] += 1
        assert int(index) == last[thread], "each thread's messages keep their order"
        assert not filling.strip(number), "no message holds a piece of another"
    assert last == [count - 1] * THREADS
    assert all(thread.get(timeout=PATIENCE) for thread in threads)


class TestCalls:
    def test_a_message_and_a_ping_arrive(self, pool: ThreadPool, serve: Serve) -> None:
        one = One(serve)
        assert pool.apply(one.connection.send, ("hello",)) is True
        assert pool.apply(one.connection.send, (b"\xe2\x82\xac", False)) is True
        assert pool.apply(one.connection.ping, ("there?",)) is True
        assert one.client.frame() == Frame(TEXT, b"hello")
        assert one.client.frame() == Frame(TEXT, "€".encode())
        assert one.client.frame() == Frame(PING, b"there?")

    @pytest.mark.parametrize("end", ["close", "drop"])
    def test_what_a_thread_sent_before_it_ended_the_connection_arrives_before_the_end(
        self, pool: ThreadPool, serve: Serve, end: str
    ) -> None:
        one = One(serve)

        def send_and_end() -> None:
            for index in range(100):
                assert one.connection.send(f"{index}")
            getattr(one.connection, end)(4000, "that was all")

        pool.apply(send_and_end)
        for index in range(100):
            assert one.client.frame() == Frame(TEXT, b"%d" % index)
        assert one.client.frame() == Frame(CLOSE, b"\x0f\xa0that was all")
        if end == "close":
            one.client.send(close_frame(4000))
        one.service.expect("disconnected", 4000)
        assert pool.apply(one.connection.send, ("too late",)) is False
        assert pool.apply(one.connection.ping) is False
        pool.apply(getattr(one.connection, end))
        one.service.expect_nothing_more()

    def test_a_broadcast_reaches_all_and_counts_those_that_are_open(
        self, pool: ThreadPool, serve: Serve
    ) -> None:
        service = Recorder()
        site = serve(service)
        clients = [site.connect() for _ in range(5)]
        for _ in clients:
            service.expect("connected")
        service.connections[0].drop()
        assert pool.apply(broadcast, (service.connections, "news")) == 4
        assert sum(client.frame() == Frame(TEXT, b"news") for client in clients) == 4

    def test_broadcasts_and_messages_of_a_thread_keep_their_order(
        self, pool: ThreadPool, serve: Serve
    ) -> None:
        one = One(serve)

        def send_by_turns() -> None:
            for index in range(0, 100, 2):
                one.connection.send(f"{index}")
                broadcast([one.connection], f"{index + 1}")

        pool.apply(send_by_turns)
        assert [one.client.frame().payload for _ in range(100)] == [b"%d" % index for index in range(100)]

    @pytest.mark.parametrize(
        ("call", "error"),
        [
            (lambda connection: connection.send(42), TypeError),
            (lambda connection: connection.send(b"\xff", as_binary=False), ValueError),
            (lambda connection: connection.ping(bytes(126)), ValueError),
            (lambda connection: connection.close(1006), ValueError),
            (lambda connection: connection.drop(1000, "x" * 124), ValueError),
        ],
    )
    def test_a_mistake_raises_in_the_thread_that_made_it(
        self, pool: ThreadPool, serve: Serve, call: Callable[[WebSocketConnection], object], error: type
    ) -> None:
        one = One(serve)
        with pytest.raises(error):
            pool.apply(call, (one.connection,))
        assert one.connection.active

    def test_a_thread_of_a_callback_may_send_to_its_own_connection(self, serve: Serve) -> None:
        """The callback waits for the thread, which sends; neither may wait for the other's turn."""

        def received(message: str, connection: WebSocketConnection) -> None:
            gevent.get_hub().threadpool.apply(connection.send, (message,))
            connection.send("done")

        client = serve(Recorder(received=received)).connect()
        client.send(masked(TEXT, "work"))
        assert {client.frame().payload, client.frame().payload} == {b"work", b"done"}


class TestOverTheLimit:
    def flood(self, one: One, sent: list[bool]) -> None:
        while len(sent) < 200 and (not sent or sent[-1]):
            sent.append(one.connection.send("x" * 2_000))

    def wait_until_they_wait(self, *results: list[bool]) -> int:
        """Return how many messages were taken by the time the threads have stopped sending."""
        with gevent.Timeout(PATIENCE):
            before, now = -1, 0
            while before != now or not now:
                gevent.sleep(0.1)
                before, now = now, sum(map(len, results))
        return now

    def test_the_thread_waits_and_the_hub_does_not(self, pool: ThreadPool, serve: Serve) -> None:
        one = One(serve, narrow=True, max_send_buffer=LIMIT)
        sent: list[bool] = []
        thread = pool.spawn(self.flood, one, sent)
        taken = self.wait_until_they_wait(sent)
        assert 0 < taken * 2_000 < LIMIT + 100_000, "the limit and what the kernel holds"
        other = one.site.connect()
        for _ in range(20):
            other.send(masked(TEXT, "x"))
            assert other.frame() == Frame(TEXT, b"x")
        assert len(sent) == taken
        assert not thread.ready()
        for _ in range(200):
            assert one.client.frame() == Frame(TEXT, b"x" * 2_000)
        thread.get(timeout=PATIENCE)
        assert sent == [True] * 200

    @pytest.mark.parametrize("end", ["reset", "close", "drop", "send_timeout", "stop"])
    def test_the_end_of_the_connection_lets_all_threads_go_with_false(
        self, pool: ThreadPool, serve: Serve, end: str
    ) -> None:
        one = One(
            serve, narrow=True, max_send_buffer=LIMIT, send_timeout=0.8 if end == "send_timeout" else 60
        )
        results: list[list[bool]] = [[] for _ in range(4)]
        threads = [pool.spawn(self.flood, one, sent) for sent in results]
        self.wait_until_they_wait(*results)
        if end == "reset":
            one.client.reset()
        elif end == "stop":
            one.site.server.stop(timeout=0.1)
        elif end != "send_timeout":
            getattr(one.connection, end)()
        for thread in threads:
            thread.get(timeout=PATIENCE)
        assert [sent[-1] for sent in results] == [False] * 4
        assert all(all(sent[:-1]) for sent in results)

    def test_a_ping_waits_as_well(self, pool: ThreadPool, serve: Serve) -> None:
        one = One(serve, narrow=True, max_send_buffer=LIMIT)
        sent: list[bool] = []
        pool.spawn(self.flood, one, sent)
        self.wait_until_they_wait(sent)
        ping = pool.spawn(one.connection.ping)
        gevent.sleep(0.05)
        assert not ping.ready()
        assert one.connection.active
        one.client.reset()
        assert ping.get(timeout=PATIENCE) is False

    def test_a_broadcast_does_not_wait_and_ends_the_connection_with_1013(
        self, pool: ThreadPool, serve: Serve
    ) -> None:
        one = One(serve, narrow=True, max_send_buffer=LIMIT)
        sent: list[bool] = []
        thread = pool.spawn(self.flood, one, sent)
        self.wait_until_they_wait(sent)

        def broadcast_some() -> int:
            # One might still fit, where the kernel has just taken some.
            return min(broadcast([one.connection], "x" * 5_000) for _ in range(5))

        assert pool.spawn(broadcast_some).get(timeout=PATIENCE) == 0, "over the limit it is not even queued"
        assert one.client.close_code()[0] == 1013
        one.service.expect("disconnected", 1013)
        thread.get(timeout=PATIENCE)
        assert sent[-1] is False

    @pytest.mark.parametrize("size", [0, 5_000])
    def test_broadcasts_to_a_busy_hub_are_queued_up_to_the_limit(self, serve: Serve, size: int) -> None:
        one = One(serve, max_send_buffer=LIMIT)
        other = one.site.connect()
        one.service.expect("connected")
        taken: list[int] = []

        def flood() -> None:
            taken.extend(broadcast(one.service.connections, "x" * size) for _ in range(1_000))

        # The hub runs in this thread, which only waits for the other one.
        run_in_thread(flood)
        count = taken.index(0)
        assert taken == [2] * count + [0] * (1_000 - count)
        assert (count - 1) * (size + CALL_SIZE) < LIMIT <= count * (size + CALL_SIZE)
        for client in (one.client, other):
            assert [client.frame() for _ in range(count)] == [Frame(TEXT, b"x" * size)] * count
            assert client.close_code() == (1013, "Broadcasts come too fast")
        for _ in range(2):
            one.service.expect("disconnected", 1013)
        one.service.expect_nothing_more()

    def test_messages_and_broadcasts_share_the_limit(self, serve: Serve) -> None:
        one = One(serve, max_send_buffer=LIMIT)
        results: list[object] = []

        def send_and_broadcast() -> None:
            results.append(one.connection.send("x" * LIMIT))
            results.append(broadcast([one.connection], "too much"))
            results.append(one.connection.send("too late"))

        run_in_thread(send_and_broadcast)
        assert results == [True, 0, False]
        assert one.client.frame() == Frame(TEXT, b"x" * LIMIT)
        assert one.client.close_code()[0] == 1013

    def test_with_room_a_thread_may_broadcast_forever(self, pool: ThreadPool, serve: Serve) -> None:
        one = One(serve, max_send_buffer=LIMIT)
        for _ in range(3 * LIMIT // 1_000):
            assert pool.apply(broadcast, ([one.connection], "x" * 1_000)) == 1
            assert one.client.frame() == Frame(TEXT, b"x" * 1_000)
        assert one.connection.active


def run_in_thread(function: Callable[[], object]) -> None:
    """Run ``function`` in a native thread; meanwhile nothing runs in this one, not even its hub."""
    done = allocate_lock()
    done.acquire()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)
        finally:
            done.release()

    start_new_thread(run, ())
    assert done.acquire(timeout=PATIENCE)
    assert not errors, errors
