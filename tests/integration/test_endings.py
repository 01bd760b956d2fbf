"""Every way a connection can end: ``disconnected`` exactly once, with the right reason, and nothing left."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import gevent
import pytest

from geventkws import WebSocketCloseReasonCode as Code
from geventkws import WebSocketConnection, WebSocketService
from geventkws.protocol.closing import State
from tests.integration.conftest import Echo, Recorder, Serve
from tests.raw import BINARY, CLOSE, PING, PONG, TEXT, Frame, close_frame, masked
from tests.waiting import PATIENCE
from tests.websocket.lines import connection_on


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def no_descriptor_leaks():
    before = open_descriptors()
    yield
    with gevent.Timeout(PATIENCE):
        while open_descriptors() > before + 3:  # the listener, and what a finished test still holds
            gevent.sleep(0.01)


class TestThePeerEnds:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 3000, 4999])
    def test_a_close_is_answered_with_its_code_which_disconnected_gets(self, serve: Serve, code: int) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        client.send(close_frame(code, "bye"))
        assert client.frame() == Frame(CLOSE, code.to_bytes(2, "big"))
        assert client.read_to_end() == b""
        client.close()
        service.expect("connected")
        service.expect("disconnected", code)
        service.expect_nothing_more()
        assert service.connections[0].close_description == "bye"
        site.wait_until_empty()

    def test_an_empty_close_is_answered_with_an_empty_one_and_1005(self, serve: Serve) -> None:
        service = Recorder()
        client = serve(service).connect()
        client.send(close_frame())
        assert client.frame() == Frame(CLOSE, b"")
        client.close()
        service.expect("connected")
        service.expect("disconnected", Code.NO_REASON_CODE_SENT)
        service.expect_nothing_more()

    @pytest.mark.parametrize("how", ["close", "half_close", "reset"])
    def test_a_lost_socket_is_1006(self, serve: Serve, how: str) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        service.expect("connected")
        getattr(client, how)()
        service.expect("disconnected", Code.CLOSED_ABNORMALLY)
        client.close()
        site.wait_until_empty()
        service.expect_nothing_more()

    def test_messages_before_a_lost_socket_are_received_first(self, serve: Serve) -> None:
        service = Recorder()
        client = serve(service).connect(behind=b"")
        client.send(masked(TEXT, "one") + masked(TEXT, "two"))
        client.close()
        for call in [("connected",), ("received", "one"), ("received", "two"), ("disconnected", 1006)]:
            service.expect(*call)

    def test_after_a_half_close_what_was_asked_is_still_answered(self, serve: Serve) -> None:
        client = serve(Echo()).connect()
        client.send(masked(TEXT, "question"))
        client.half_close()
        assert client.frame() == Frame(TEXT, b"question")
        assert client.read_to_end() == b""

    def test_messages_before_a_close_are_answered_before_it(self, serve: Serve) -> None:
        service = Echo()
        client = serve(service).connect()
        client.send(masked(TEXT, "last words") + close_frame(1000))
        assert client.frame() == Frame(TEXT, b"last words")
        assert client.close_code() == (1000, "")

    def test_what_follows_a_close_is_ignored(self, serve: Serve) -> None:
        service = Recorder()
        client = serve(service).connect()
        client.send(close_frame(1000) + masked(TEXT, "too late") + b"\xff\xff\xff")
        assert client.close_code() == (1000, "")
        service.expect("connected")
        service.expect("disconnected", 1000)
        service.expect_nothing_more()

    def test_a_busy_callback_does_not_keep_a_closing_peer_waiting_forever(self, serve: Serve) -> None:
        done = gevent.event.Event()
        service = Recorder(received=lambda message, connection: done.wait(PATIENCE))
        client = serve(service, close_timeout=0.2).connect()
        client.send(masked(TEXT, "work") + masked(TEXT, "more") + close_frame(1000))
        assert client.close_code() == (1000, "")
        client.close()
        done.set()
        for call in [("connected",), ("received", "work"), ("received", "more"), ("disconnected", 1000)]:
            service.expect(*call)


class TestWeEnd:
    def test_a_close_that_is_answered_gives_its_own_code(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        service.expect("connected")
        service.connections[0].close(Code.GOING_AWAY, "so long")
        assert not service.connections[0].active
        assert client.close_code() == (1001, "so long")
        service.expect_nothing_more()
        client.send(close_frame(4000, "thanks"))
        service.expect("disconnected", Code.GOING_AWAY)
        assert service.connections[0].close_description == "thanks"
        assert client.read_to_end() == b""
        client.close()
        site.wait_until_empty()

    def test_the_default_is_1000(self, serve: Serve) -> None:
        client = serve(Recorder(connected=lambda connection: connection.close())).connect()
        assert client.close_code() == (1000, "")

    def test_a_close_that_is_not_answered_is_1006(self, serve: Serve) -> None:
        service = Recorder(received=lambda message, connection: connection.close())
        site = serve(service, close_timeout=0.2)
        client = site.connect()
        client.send(masked(TEXT, "go"))
        assert client.close_code() == (1000, "")
        service.expect("connected")
        service.expect("received", "go")
        service.expect("disconnected", Code.CLOSED_ABNORMALLY)
        site.wait_until_empty()
        assert client.read_to_end() == b""

    @pytest.mark.parametrize("last", [b"", b"\xff garbage", masked(0x0, b"lone continuation")])
    def test_a_close_answered_by_the_end_or_by_garbage_is_1006(self, serve: Serve, last: bytes) -> None:
        service = Recorder(connected=lambda connection: connection.close())
        site = serve(service)
        client = site.connect()
        assert client.close_code() == (1000, "")
        client.send(last)
        client.half_close()
        service.expect("connected")
        service.expect("disconnected", Code.CLOSED_ABNORMALLY)
        site.wait_until_empty()

    def test_no_received_follows_a_close(self, serve: Serve) -> None:
        service = Recorder(received=lambda message, connection: connection.close())
        client = serve(service).connect()
        client.send(masked(TEXT, "one") + masked(TEXT, "two") + masked(TEXT, "three"))
        assert client.close_code() == (1000, "")
        client.send(masked(TEXT, "four") + close_frame(1000))
        for call in [("connected",), ("received", "one"), ("disconnected", 1000)]:
            service.expect(*call)
        service.expect_nothing_more()

    def test_drop_sends_its_close_frame_and_waits_for_no_answer(self, serve: Serve) -> None:
        service = Recorder(received=lambda message, connection: connection.drop(Code.POLICY_VIOLATION, "no"))
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "rude"))
        assert client.close_code() == (1008, "no")
        assert client.read_to_end() == b""
        for call in [("connected",), ("received", "rude"), ("disconnected", 1008)]:
            service.expect(*call)
        client.close()
        site.wait_until_empty()

    def test_a_close_frame_survives_bytes_that_nobody_reads(self, serve: Serve) -> None:
        """Closing with unread bytes would reset the connection, and could destroy the frame on its way."""
        service = Recorder(received=lambda message, connection: connection.drop(4000, "enough"))
        client = serve(service).connect()
        client.send(masked(TEXT, "stop") + masked(BINARY, bytes(60_000)) * 5)
        assert client.close_code() == (4000, "enough")
        client.send(masked(BINARY, bytes(60_000)))

    def test_a_peer_that_never_closes_its_side_is_cut_off(self, serve: Serve) -> None:
        service = Recorder(received=lambda message, connection: connection.drop())
        site = serve(service, close_timeout=0.2)
        client = site.connect()
        client.send(masked(TEXT, "x"))
        assert client.close_code() == (1000, "")
        site.wait_until_empty()

    def test_what_was_sent_before_the_end_arrives_before_it(self, serve: Serve) -> None:
        def flood(message: str, connection: WebSocketConnection) -> None:
            for index in range(50):
                connection.send(index.to_bytes(2, "big") * 10_000)
            connection.close()

        client = serve(Recorder(received=flood)).connect()
        client.send(masked(TEXT, "go"))
        for index in range(50):
            assert client.frame() == Frame(BINARY, index.to_bytes(2, "big") * 10_000)
        assert client.close_code() == (1000, "")

    def test_close_twice_drop_after_close_and_send_after_both(self, serve: Serve) -> None:
        def end(connection: WebSocketConnection) -> None:
            connection.close(4000)
            connection.close(4001)
            assert connection.send("too late") is False
            assert connection.ping() is False
            connection.drop(4002)
            assert connection.send("too late") is False

        service = Recorder(connected=end)
        client = serve(service).connect()
        assert client.close_code() == (4000, "")
        assert client.read_to_end() == b""
        service.expect("connected")
        service.expect("disconnected", 4002)
        service.expect_nothing_more()

    @pytest.mark.parametrize(("code", "text"), [(1006, ""), (999, ""), (2000, ""), (1000, "é" * 62)])
    def test_a_close_that_cannot_be_sent_raises_and_changes_nothing(
        self, serve: Serve, code: int, text: str
    ) -> None:
        service = Echo()
        client = serve(service).connect()
        service.expect("connected")
        with pytest.raises(ValueError, match=r"close|WebSocketCloseReasonCode"):
            service.connections[0].close(code, text)
        client.send(masked(TEXT, "still here"))
        assert client.frame() == Frame(TEXT, b"still here")


@pytest.mark.logs_errors
class TestACallbackFails:
    @pytest.mark.parametrize("error", [RuntimeError("oops"), gevent.Timeout(1), gevent.GreenletExit()])
    @pytest.mark.parametrize("callback", ["connected", "received"])
    def test_an_exception_ends_the_connection_with_1011(
        self, serve: Serve, callback: str, error: BaseException, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: object) -> None:
            raise error

        service = Recorder(**{callback: fail})
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "x") + masked(TEXT, "y"))
        assert client.close_code() == (1011, "")
        assert client.read_to_end() == b""
        client.close()
        service.expect("connected")
        if callback == "received":
            service.expect("received", "x")
        service.expect("disconnected", Code.SERVER_ERROR)
        service.expect_nothing_more()
        site.wait_until_empty()
        [record] = [record for record in caplog.records if record.levelname == "ERROR"]
        assert record.exc_info
        assert record.exc_info[1] is error

    def test_an_exception_in_disconnected_is_logged_and_harms_nobody(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: object) -> None:
            raise RuntimeError("oops")

        service = Recorder(disconnected=fail)
        site = serve(service)
        for _ in range(2):
            with site.connect() as client:
                client.send(close_frame(1000))
                assert client.close_code() == (1000, "")
        site.wait_until_empty()
        assert [record.levelname for record in caplog.records].count("ERROR") == 2

    def test_an_exception_after_close_keeps_the_code_of_the_close(self, serve: Serve) -> None:
        def close_and_fail(connection: WebSocketConnection) -> None:
            connection.close(4000)
            raise RuntimeError("oops")

        service = Recorder(connected=close_and_fail)
        client = serve(service).connect()
        assert client.close_code() == (4000, "")
        client.send(close_frame(4000))
        service.expect("connected")
        service.expect("disconnected", 4000)

    def test_one_failing_connection_leaves_the_others_alone(self, serve: Serve) -> None:
        def fail_on_x(message: str, connection: WebSocketConnection) -> None:
            if message == "x":
                raise RuntimeError("oops")
            connection.send(message)

        site = serve(Recorder(received=fail_on_x))
        bystander, culprit = site.connect(), site.connect()
        culprit.send(masked(TEXT, "x"))
        assert culprit.close_code() == (1011, "")
        bystander.send(masked(TEXT, "y"))
        assert bystander.frame() == Frame(TEXT, b"y")


class TestFailures:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"\x81\x05hello", 1002),  # not masked
            (masked(0x3, b"x"), 1002),
            (masked(0xB, b"x"), 1002),
            (masked(0x0, b"x"), 1002),
            (masked(TEXT, b"x", fin=False) + masked(TEXT, b"y"), 1002),
            (b"\xc1\x81maskx", 1002),
            (masked(PING, bytes(126)), 1002),
            (masked(PING, b"", fin=False), 1002),
            (b"\x82\xff" + b"\xff" * 8, 1002),
            (b"\x82\xff" + (1 << 62).to_bytes(8, "big") + b"mask", 1009),
            (masked(TEXT, b"\xce\xba\xff"), 1007),
            (masked(TEXT, b"\xce", fin=False) + masked(0x0, b"\xff", fin=False), 1007),
            (masked(CLOSE, b"x"), 1002),
            (masked(CLOSE, b"\x03\xee"), 1002),
            (masked(CLOSE, b"\x03\xe8\xff"), 1007),
            (b"GET / HTTP/1.1\r\n\r\n", 1002),
        ],
    )
    def test_an_offence_is_answered_with_its_code_after_the_messages_before_it(
        self, serve: Serve, data: bytes, code: int
    ) -> None:
        service = Echo()
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "fine") + data)
        assert client.frame() == Frame(TEXT, b"fine")
        assert client.close_code()[0] == code
        assert client.read_to_end() == b""
        client.close()
        for call in [("connected",), ("received", "fine"), ("disconnected", code)]:
            service.expect(*call)
        service.expect_nothing_more()
        site.wait_until_empty()

    @pytest.mark.parametrize("cut", range(1, 12))
    def test_a_frame_cut_off_anywhere_is_1006(self, serve: Serve, cut: int) -> None:
        service = Recorder()
        site = serve(service)
        client = site.connect()
        client.send(masked(TEXT, "hello!")[:cut])
        client.reset() if cut % 2 else client.close()
        service.expect("connected")
        service.expect("disconnected", 1006)
        site.wait_until_empty()


class TestBehindTheHandshake:
    def test_bytes_after_the_request_reach_the_parser(self, serve: Serve) -> None:
        client = serve(Echo()).connect(behind=masked(TEXT, "early") + masked(PING, b"?") + b"\x81")
        assert sorted([client.frame(), client.frame()]) == [Frame(TEXT, b"early"), Frame(PONG, b"?")]
        client.send(masked(TEXT, "rest")[1:])
        assert client.frame() == Frame(TEXT, b"rest")

    def test_a_close_after_the_request_is_reported_after_connected(self, serve: Serve) -> None:
        service = Recorder()
        client = serve(service).connect(behind=close_frame(1001))
        assert client.close_code() == (1001, "")
        service.expect("connected")
        service.expect("disconnected", 1001)

    def test_a_peer_that_resets_at_once_is_still_reported(self, serve: Serve) -> None:
        service = Recorder()
        site = serve(service)
        for _ in range(20):
            site.connect().reset()
        site.wait_until_empty()
        names = [service.calls.get(timeout=PATIENCE)[0] for _ in range(40)]
        assert names.count("connected") == names.count("disconnected") == 20


def test_a_connection_in_its_closing_handshake_ignores_a_reset(serve: Serve) -> None:
    service = Recorder(received=lambda message, connection: connection.close())
    site = serve(service)
    client = site.connect()
    client.send(masked(TEXT, "x"))
    client.close_code()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.close()
    for call in [("connected",), ("received", "x"), ("disconnected", 1006)]:
        service.expect(*call)
    site.wait_until_empty()


def test_a_connection_that_ends_in_the_callback_of_another_leaves_its_input_alone() -> None:
    """What was received together with a message waits in the loop's buffer while the message is handled."""

    received: list[str | bytes] = []

    class First(WebSocketService):
        def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
            received.append(message)
            while closing._endpoint.output_size:
                drain(other_peer)
                closing.send("too late, but what waits is offered to the socket")

    sent = [f"message {number}" for number in range(200)]
    (ours, peer), (other, other_peer) = socket.socketpair(), socket.socketpair()
    with peer, other_peer:
        other_peer.setblocking(False)
        closing = connection_on(other, WebSocketService(), max_send_buffer=1)
        closing.send(bytes(1_000_000))
        other_peer.send(close_frame(1000))
        gevent.sleep(0.01)
        assert closing._state == State.ANSWERING
        connection = connection_on(ours, First(), max_inbox_messages=1_000)
        # All at once, in the hub's next turn.
        other_peer.send(masked(TEXT, "not to be read as the first's") * 500)
        peer.send(b"".join(masked(TEXT, message) for message in sent))
        with gevent.Timeout(PATIENCE):
            while connection.active and len(received) < len(sent):
                gevent.sleep(0.005)
        assert received == sent
        connection.drop()
        closing._abandon()
        gevent.sleep(0.01)


def drain(peer: socket.socket) -> None:
    """Read everything that is there."""
    with suppress(BlockingIOError):
        while peer.recv(1 << 20):
            pass


def test_what_a_peer_sent_before_it_left_is_received_though_nothing_can_be_sent_to_it() -> None:
    """Already the first answer fails; by then, most messages have not even been parsed."""
    service = Echo()
    ours, peer = socket.socketpair()
    sent = [f"{index}" for index in range(2_000)]
    peer.sendall(b"".join(masked(TEXT, text) for text in sent))
    peer.close()
    connection_on(ours, service)
    service.expect("connected")
    for text in sent:
        service.expect("received", text)
    service.expect("disconnected", 1006)
