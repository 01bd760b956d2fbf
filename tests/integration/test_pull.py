"""The pull style: a service that defines ``run`` takes its messages itself."""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult, Event

from geventkws import ConnectionClosed, WebSocketConnection
from geventkws import WebSocketCloseReasonCode as Code
from geventkws.loop.loop import TURN
from tests.integration.conftest import Recorder, Serve
from tests.raw import PONG, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE


class Puller(Recorder):
    """Runs the test's function; its result, or the exception it raised, is in ``ended``."""

    def __init__(
        self, run: Callable[[WebSocketConnection], object], **callbacks: Callable[..., object]
    ) -> None:
        super().__init__(**callbacks)
        self.body = run
        self.ended: AsyncResult[Any] = AsyncResult()

    def run(self, connection: WebSocketConnection) -> None:
        try:
            self.ended.set(self.body(connection))
        except BaseException as error:
            self.ended.set_exception(error)
            raise

    def result(self) -> Any:
        return self.ended.get(timeout=PATIENCE)


Pull = Callable[..., tuple[Puller, RawClient]]


@pytest.fixture
def pull(serve: Serve) -> Pull:
    """Start a server for ``run`` and connect to it."""

    def start(run: Callable[[WebSocketConnection], object], **options: Any) -> tuple[Puller, RawClient]:
        service = Puller(run)
        return service, serve(service, **options).connect()

    return start


def echo(connection: WebSocketConnection) -> None:
    for message in connection:
        connection.send(message)


class TestReceive:
    def test_messages_come_in_order_as_text_and_bytes(self, pull: Pull) -> None:
        service, client = pull(lambda connection: [connection.receive() for _ in range(3)])
        client.send(masked(TEXT, "one") + masked(0x2, b"two"))
        gevent.sleep(0.01)
        client.send(masked(TEXT, "three"))
        assert service.result() == ["one", b"two", "three"]

    def test_the_return_of_run_closes_with_1000(self, pull: Pull) -> None:
        service, client = pull(lambda connection: connection.receive())
        client.send(masked(TEXT, "enough") + masked(TEXT, "never taken"))
        assert client.close_code() == (1000, "")
        service.expect("connected")
        service.expect_nothing_more()
        client.send(close_frame(1000))
        service.expect("disconnected", Code.NORMAL)
        service.expect_nothing_more()

    def test_a_timeout_loses_nothing(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> str | bytes:
            with pytest.raises(TimeoutError, match=r"no message within 0\.02 s"):
                connection.receive(timeout=0.02)
            connection.send("go on")
            return connection.receive(timeout=PATIENCE)

        service, client = pull(run)
        assert client.frame() == Frame(TEXT, b"go on")
        client.send(masked(TEXT, "here"))
        assert service.result() == "here"

    def test_a_receiver_that_is_killed_while_others_have_their_turn_loses_nothing(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> list[str | bytes]:
            with gevent.Timeout(PATIENCE):
                while not connection._has_messages():
                    gevent.sleep(0.005)
            receiver = gevent.spawn(connection.receive)
            turn_ends = monotonic() + TURN
            while monotonic() < turn_ends:
                pass
            gevent.sleep(0)
            receiver.kill()
            return [connection.receive(), connection.receive()]

        service, client = pull(run)
        client.send(masked(TEXT, "one") + masked(TEXT, "two"))
        assert service.result() == ["one", "two"]

    def test_a_message_that_is_already_there_needs_no_time(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> list[str | bytes]:
            first = connection.receive()
            return [first, connection.receive(timeout=0)]

        service, client = pull(run)
        client.send(masked(TEXT, "one") + masked(TEXT, "two"))
        assert service.result() == ["one", "two"]

    @pytest.mark.parametrize(
        ("last", "reason", "description"),
        [
            (close_frame(1001, "bye"), 1001, "bye"),
            (close_frame(), 1005, ""),
            (b"\xff\xff", 1002, ""),
            (b"", 1006, ""),
        ],
    )
    def test_after_the_end_it_raises_connection_closed_each_time(
        self, pull: Pull, last: bytes, reason: int, description: str
    ) -> None:
        def run(connection: WebSocketConnection) -> list[tuple[str | bytes, int, str, bool]]:
            message = connection.receive()
            ends = []
            for _ in range(2):
                with pytest.raises(ConnectionClosed) as caught:
                    connection.receive()
                ends.append(
                    (message, int(caught.value.reason), caught.value.description, connection.send("x"))
                )
            return ends

        service, client = pull(run)
        client.send(masked(TEXT, "first") + last)
        client.half_close()
        assert service.result() == [("first", reason, description, False)] * 2
        client.read_to_end()
        client.close()
        service.expect("connected")
        service.expect("disconnected", reason)
        service.expect_nothing_more()

    def test_a_run_that_lets_connection_closed_pass_has_ended_well(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> None:
            while True:
                connection.receive()

        service, client = pull(run)
        client.send(close_frame(4000))
        assert client.close_code() == (4000, "")
        service.expect("connected")
        service.expect("disconnected", 4000)

    def test_in_a_push_service_it_is_a_runtime_error(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        service.expect("connected")
        with pytest.raises(RuntimeError, match="define run"):
            service.connections[0].receive()
        with pytest.raises(RuntimeError, match="define run"):
            next(iter(service.connections[0]))
        client.close()

    def test_a_second_receiver_is_a_runtime_error_and_disturbs_nobody(self, pull: Pull) -> None:
        service, client = pull(lambda connection: connection.receive())
        service.expect("connected")
        gevent.sleep(0)
        with pytest.raises(RuntimeError, match="another greenlet"):
            service.connections[0].receive()
        client.send(masked(TEXT, "for the first"))
        assert service.result() == "for the first"

    def test_a_native_thread_is_told_that_it_cannot(self, pull: Pull) -> None:
        service, client = pull(lambda connection: connection.receive())
        service.expect("connected")
        with pytest.raises(RuntimeError, match="thread"):
            gevent.get_hub().threadpool.apply(service.connections[0].receive)
        client.send(masked(TEXT, "fine"))
        assert service.result() == "fine"

    def test_so_it_is_while_messages_wait(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> str | bytes:
            started.set()
            arrived.wait()
            with pytest.raises(RuntimeError, match="thread"):
                gevent.get_hub().threadpool.apply(connection.receive)
            return connection.receive()

        started, arrived = Event(), Event()
        service, client = pull(run)
        client.send(masked(TEXT, "kept") + masked(0x9, b"behind it"))
        assert started.wait(PATIENCE)
        assert client.frame() == Frame(PONG, b"behind it")
        arrived.set()
        assert service.result() == "kept"


class TestIteration:
    def test_it_ends_at_the_close(self, pull: Pull) -> None:
        service, client = pull(list)
        client.send(masked(TEXT, "one") + masked(TEXT, "two") + close_frame(1000))
        assert service.result() == ["one", "two"]
        assert client.close_code() == (1000, "")
        service.expect("connected")
        service.expect("disconnected", 1000)

    def test_it_may_be_left_and_taken_up_again(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> list[str | bytes]:
            first = next(iter(connection))
            return [first, *connection]

        service, client = pull(run)
        client.send(masked(TEXT, "one") + masked(TEXT, "two") + close_frame())
        assert service.result() == ["one", "two"]

    def test_a_lost_socket_ends_it_after_what_arrived(self, pull: Pull) -> None:
        service, client = pull(list)
        client.send(masked(TEXT, "last"))
        client.close()
        assert service.result() == ["last"]
        service.expect("connected")
        service.expect("disconnected", 1006)

    def test_an_echo_of_many_messages_keeps_their_order(self, pull: Pull) -> None:
        _, client = pull(echo, max_inbox_messages=3)
        client.send(b"".join(masked(TEXT, f"{index}") for index in range(500)))
        assert [client.frame().payload for _ in range(500)] == [b"%d" % index for index in range(500)]

    def test_pings_are_answered_while_run_is_busy(self, pull: Pull) -> None:
        _, client = pull(lambda connection: gevent.sleep(0.2))
        client.send(masked(0x9, b"?"))
        assert client.frame() == Frame(PONG, b"?")


class TestTheInbox:
    def test_a_run_that_does_not_receive_stops_the_reading_and_loses_nothing(self, pull: Pull) -> None:
        start = Event()

        def run(connection: WebSocketConnection) -> list[str | bytes]:
            start.wait(PATIENCE)
            return list(connection)

        service, client = pull(run, max_inbox_messages=2)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for index in range(20):
            client.send(masked(TEXT, f"{index}"))
            gevent.sleep(0.005)
        # One read may contain several messages, and reading stops after the one that fills the inbox.
        assert 2 <= service.connections[0]._inbox_size < 20
        client.send(close_frame())
        start.set()
        assert service.result() == [f"{index}" for index in range(20)]
        assert client.close_code() == (None, "")


class TestOthers:
    def test_other_greenlets_send_while_run_waits(self, pull: Pull) -> None:
        service, client = pull(echo)
        service.expect("connected")
        [connection] = service.connections
        for index in range(3):
            gevent.spawn(connection.send, f"from outside {index}")
            assert client.frame() == Frame(TEXT, f"from outside {index}".encode())
            client.send(masked(TEXT, "from the peer"))
            assert client.frame() == Frame(TEXT, b"from the peer")

    def test_a_close_from_elsewhere_ends_receive_at_once(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> Code:
            with pytest.raises(ConnectionClosed) as caught:
                connection.receive()
            return caught.value.reason

        service, client = pull(run)
        service.expect("connected")
        gevent.sleep(0.01)
        service.connections[0].close(4001, "from elsewhere")
        assert service.result() == 4001
        assert client.close_code() == (4001, "from elsewhere")
        service.expect_nothing_more()
        client.send(close_frame(4001))
        service.expect("disconnected", 4001)

    def test_a_drop_from_elsewhere_ends_receive_at_once(self, pull: Pull) -> None:
        service, client = pull(list)
        service.expect("connected")
        gevent.sleep(0.01)
        service.connections[0].drop(4002)
        assert service.result() == []
        assert client.close_code() == (4002, "")
        service.expect("disconnected", 4002)

    def test_another_greenlet_that_receives_is_woken_when_run_returns(self, pull: Pull) -> None:
        receivers: list[gevent.Greenlet[..., Any]] = []

        def run(connection: WebSocketConnection) -> None:
            receivers.append(gevent.spawn(list, connection))
            gevent.sleep(0.02)

        service, client = pull(run)
        service.result()
        assert receivers[0].get(timeout=PATIENCE) == []
        assert client.close_code() == (1000, "")

    def test_a_receiver_that_is_killed_leaves_the_place_to_the_next(self, pull: Pull) -> None:
        killed: list[bool] = []

        def run(connection: WebSocketConnection) -> str | bytes:
            receiver = gevent.spawn(connection.receive)
            gevent.sleep(0.01)
            receiver.kill()
            killed.append(True)
            return connection.receive()

        service, client = pull(run)
        with gevent.Timeout(PATIENCE):
            while not killed:
                gevent.sleep(0.001)
        client.send(masked(TEXT, "for the second"))
        assert service.result() == "for the second"


class TestRun:
    def test_a_close_inside_run_ends_iteration_but_not_run(self, pull: Pull) -> None:
        def run(connection: WebSocketConnection) -> str:
            for _ in connection:
                connection.close(4000, "done")
            gevent.sleep(0.01)
            return "on my own time"

        service, client = pull(run)
        client.send(masked(TEXT, "one") + masked(TEXT, "two"))
        assert client.close_code() == (4000, "done")
        assert service.result() == "on my own time"
        client.send(close_frame(4000))
        service.expect("connected")
        service.expect("disconnected", 4000)

    def test_disconnected_waits_for_the_return_of_run(self, pull: Pull) -> None:
        gone = Event()
        service, client = pull(lambda connection: gone.wait(PATIENCE))
        client.send(close_frame(1001))
        service.expect("connected")
        service.expect_nothing_more()
        gone.set()
        service.expect("disconnected", 1001)
        assert client.close_code() == (1001, "")

    def test_a_run_that_returns_after_the_peers_close_keeps_its_code(self, pull: Pull) -> None:
        peer_gone = Event()
        service, client = pull(lambda connection: peer_gone.wait(PATIENCE))
        client.send(masked(TEXT, "not taken") + close_frame(4321, "so there"))
        gevent.sleep(0.02)
        peer_gone.set()
        assert client.close_code() == (4321, "")
        service.expect("connected")
        service.expect("disconnected", 4321)
        assert service.connections[0].close_description == "so there"

    def test_a_closing_peer_does_not_wait_forever_for_run(self, pull: Pull) -> None:
        sent: list[bool] = []

        def run(connection: WebSocketConnection) -> None:
            while connection.send("tick"):
                gevent.sleep(0.01)
            sent.append(connection.send("tock"))

        service, client = pull(run, close_timeout=0.1)
        client.send(close_frame(1000))
        assert client.close_code() == (1000, "")
        service.result()
        assert sent == [False]

    @pytest.mark.logs_errors
    @pytest.mark.parametrize("error", [RuntimeError("oops"), gevent.Timeout(1), gevent.GreenletExit()])
    def test_an_exception_ends_with_1011(self, pull: Pull, error: BaseException) -> None:
        def run(connection: WebSocketConnection) -> None:
            connection.receive()
            raise error

        service, client = pull(run)
        client.send(masked(TEXT, "x") + masked(TEXT, "y"))
        assert client.close_code() == (1011, "")
        assert client.read_to_end() == b""
        client.close()
        service.expect("connected")
        service.expect("disconnected", Code.SERVER_ERROR)
        service.expect_nothing_more()

    def test_received_is_never_called(self, pull: Pull) -> None:
        service, client = pull(lambda connection: gevent.sleep(0.02))
        client.send(masked(TEXT, "unheard") * 5)
        assert client.close_code() == (1000, "")
        client.send(close_frame(1000))
        service.expect("connected")
        service.expect("disconnected", 1000)
