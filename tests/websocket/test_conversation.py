"""What is done for every message, between a socket and a service; what is rare is only recorded here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.event
import pytest

from geventkws.loop.channel import Channel
from geventkws.loop.loop import CROWDED_READ, Loop
from geventkws.net.transport import PlainTransport
from geventkws.options import ServerOptions
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.endpoint import Broadcast, Endpoint
from geventkws.protocol.errors import ProtocolError
from geventkws.protocol.messages import Event, Ping
from geventkws.websocket.conversation import COMPRESSED_READ, MAX_TAKEN, Conversation, read_size
from geventkws.websocket.delegate import Delegate
from geventkws.websocket.lifecycle import answer_ping
from geventkws.websocket.meter import Meter
from tests.raw import BINARY, PING, PONG, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE, wait_until


class Service:
    """Does what the test gave it to do, and records in ``messages`` what it receives."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.act: Callable[[Any], object] = lambda conversation: None

    def received(self, message: str | bytes, conversation: Conversation) -> object:
        self.messages.append(message)
        return self.act(conversation)


class Recorder(Delegate):
    """Records what conversations leave to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(SimpleNamespace(options=ServerOptions(**options)))
        self.left: list[tuple[Any, ...]] = []
        self.closes = False

    def handle(self, conversation: Conversation, event: Event) -> None:
        self.left.append(("handle", event))

    def end_of_stream(self, conversation: Conversation) -> None:
        self.left.append(("end of stream",))
        conversation._channel.pause()

    def lost(self, conversation: Conversation) -> None:
        self.left.append(("lost",))
        conversation._channel.release()

    def closes_at_once(self, conversation: Conversation) -> bool:
        return self.closes

    def output_left(self, conversation: Conversation) -> None:
        self.left.append(("output left", conversation._endpoint.output_size))

    def step(self, conversation: Conversation) -> None:
        self.left.append(("step",))
        conversation._greeted, conversation._has_news = True, False

    def failed(self, conversation: Conversation, error: BaseException) -> None:
        self.left.append(("failed", type(error)))

    def measure(self, conversation: Conversation, meter: Meter) -> None:
        self.left.append(("measure", meter))

    def read_on(self, conversation: Conversation) -> None:
        self.left.append(("read on",))
        conversation._resume_reading()

    def send_later(
        self, conversation: Conversation, opcode: int, payload: bytes, compress: bool | None
    ) -> bool:
        self.left.append(("send later", opcode, payload, compress))
        return True

    def broadcast_later(self, conversation: Conversation, message: Broadcast) -> bool:
        self.left.append(("broadcast later", message))
        return True


class Talk(Conversation):
    """A conversation whose delegate is a ``Recorder``."""

    _lifecycle: Recorder

    def __init__(self, channel: Channel, service: Service, **options: Any) -> None:
        recorder = Recorder(**options)
        super().__init__(
            channel, Endpoint(1 << 20, ServerOptions(**options).max_fragments), service, recorder
        )
        channel.owner = self

    def _crashed(self, error: BaseException) -> None:
        self._lifecycle.left.append(("crashed", error))


class Line:
    """A conversation that has begun, its service, and the peer."""

    def __init__(self, **options: Any) -> None:
        ours, theirs = socket.socketpair()
        theirs.settimeout(PATIENCE)
        self.peer = RawClient(0, sock=theirs)
        self.service = Service()
        self.channel = Channel(Loop(gevent.get_hub()), PlainTransport(ours.detach()))
        self.talk = Talk(self.channel, self.service, **options)
        self.channel.start_reading()
        self.channel.queue()
        self.until(lambda: self.talk._lifecycle.left == [("step",)])
        self.talk._lifecycle.left.clear()

    def until(self, is_so: Callable[[], bool]) -> None:
        wait_until(is_so)

    def expect(self, *messages: str | bytes) -> None:
        """Wait until the service has received exactly these."""
        self.until(lambda: len(self.service.messages) >= len(messages))
        assert self.service.messages == list(messages)

    def expect_left(self, *calls: tuple[Any, ...]) -> None:
        """Wait until exactly this has been left to others."""
        self.until(lambda: len(self.talk._lifecycle.left) >= len(calls))
        assert self.talk._lifecycle.left == list(calls)


Start = Callable[..., Line]


@pytest.fixture
def start() -> Iterator[Start]:
    lines: list[Line] = []

    def begin(**options: Any) -> Line:
        lines.append(Line(**options))
        return lines[-1]

    yield begin
    for line in lines:
        line.channel.release()
        line.peer.close()


class TestReceiving:
    def test_messages_reach_the_service_in_their_types_and_their_order(self, start: Start) -> None:
        line = start()
        line.peer.send(masked(TEXT, "one") + masked(BINARY, b"two") + masked(TEXT, "drei ☕"))
        line.expect("one", b"two", "drei ☕")
        assert line.talk._lifecycle.left == []

    def test_a_connection_is_new_until_something_has_come(self, start: Start) -> None:
        line = start()
        assert line.channel.is_new
        line.peer.send(masked(TEXT, "one"))
        line.expect("one")
        assert not line.channel.is_new

    def test_a_message_may_come_in_many_pieces(self, start: Start) -> None:
        line = start()
        for byte in masked(TEXT, "in pieces"):
            line.peer.send(bytes((byte,)))
            gevent.sleep(0)
        line.expect("in pieces")

    def test_anything_but_a_message_is_left_to_others_in_its_place(self, start: Start) -> None:
        line = start()
        line.peer.send(masked(PING, b"there?") + masked(TEXT, "x") + close_frame(1000, "bye"))
        line.expect("x")
        line.expect_left(("handle", Ping(b"there?")), ("handle", Close(Code.NORMAL, "bye")))

    def test_so_is_a_broken_rule(self, start: Start) -> None:
        line = start()
        line.peer.send(b"\xff\xff")
        line.until(lambda: bool(line.talk._lifecycle.left))
        [(name, error)] = line.talk._lifecycle.left
        assert name == "handle"
        assert isinstance(error, ProtocolError)

    def test_so_is_the_end_of_the_stream(self, start: Start) -> None:
        line = start()
        line.peer.half_close()
        line.expect_left(("end of stream",))

    def test_so_is_a_socket_that_fails(self, start: Start) -> None:
        line = start()
        line.talk._channel.use(Lost())
        line.peer.send(b"x")
        line.expect_left(("lost",))

    def test_once_nothing_is_active_messages_are_dropped(self, start: Start) -> None:
        line = start()
        line.talk.active = False
        line.peer.send(masked(TEXT, "too late") + masked(PING))
        line.expect_left(("handle", Ping(b"")))
        assert not line.service.messages


class Lost:
    """A transport whose connection is lost."""

    secure = pending = False

    def recv_into(self, buffer: memoryview) -> int | None:
        raise ConnectionResetError("the peer is gone")

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a lost connection is not asked for {name}")


class TestTheInbox:
    def test_a_full_one_stops_the_reading_until_the_service_has_taken_some(self, start: Start) -> None:
        line = start(max_inbox_messages=2)
        go_on = gevent.event.Event()
        line.service.act = lambda conversation: go_on.wait()
        for text in ("1", "2", "3"):
            line.peer.send(masked(TEXT, text))
            line.until(lambda: line.talk._inbox_size > 0 or bool(line.service.messages))
        line.until(lambda: line.channel.paused_at is not None)
        go_on.set()
        line.expect("1", "2", "3")
        assert line.channel.paused_at is None
        assert ("read on",) in line.talk._lifecycle.left

    def test_bytes_count_as_well(self, start: Start) -> None:
        line = start(max_inbox_size=10)
        go_on = gevent.event.Event()
        line.service.act = lambda conversation: go_on.wait()
        line.peer.send(masked(BINARY, bytes(4)) + masked(BINARY, bytes(11)))
        line.until(lambda: line.channel.paused_at is not None)
        assert line.talk._inbox_size == 11
        go_on.set()
        line.expect(bytes(4), bytes(11))
        assert line.talk._inbox_size == 0

    def test_it_is_none_while_it_is_empty_and_never_only_empty_places(self, start: Start) -> None:
        """What was taken leaves its place in the list at once, and the place is given up in the end."""
        line = start(max_inbox_messages=10 * MAX_TAKEN)
        sent = [str(number) for number in range(3 * MAX_TAKEN)]
        line.peer.send(b"".join(masked(TEXT, text) for text in sent))
        line.expect(*sent)
        assert not line.talk._has_messages()

    def test_it_can_be_discarded(self, start: Start) -> None:
        line = start(max_inbox_messages=1)
        line.service.act = lambda conversation: conversation._discard_inbox()
        line.peer.send(masked(TEXT, "first") + masked(TEXT, "second"))
        line.expect("first")
        assert line.channel.paused_at is None
        assert not line.talk._has_messages()
        line.peer.send(masked(TEXT, "third"))
        line.expect("first", "third")

    def test_the_idle_clock_stands_still_while_nothing_is_read(self, start: Start) -> None:
        line = start()
        heard_at = line.talk._heard_at
        line.channel.pause()
        gevent.sleep(0.05)
        line.talk._resume_reading()
        assert line.talk._heard_at >= heard_at + 0.04, "libuv may wake up a little early"


class TestTheService:
    def test_an_exception_is_left_to_others_and_the_next_message_is_delivered(self, start: Start) -> None:
        def fail_once(conversation: Conversation) -> None:
            if len(line.service.messages) == 1:
                raise ZeroDivisionError

        line = start()
        line.service.act = fail_once
        line.peer.send(masked(TEXT, "1") + masked(TEXT, "2"))
        line.expect("1", "2")
        assert line.talk._lifecycle.left == [("failed", ZeroDivisionError)]

    def test_a_coroutine_that_it_returns_is_a_mistake(self, start: Start) -> None:
        async def received() -> None:
            pass

        line = start()
        line.service.act = lambda conversation: received()
        line.peer.send(masked(TEXT, "x"))
        line.expect("x")
        assert line.talk._lifecycle.left == [("failed", TypeError)]

    def test_one_that_waits_gets_nothing_more_until_it_returns(self, start: Start) -> None:
        go_on = gevent.event.Event()
        line = start()
        line.service.act = lambda conversation: go_on.wait()
        line.peer.send(masked(TEXT, "1"))
        line.expect("1")
        line.peer.send(masked(TEXT, "2"))
        line.until(line.talk._has_messages)
        assert line.service.messages == ["1"]
        go_on.set()
        line.expect("1", "2")


class TestSending:
    @pytest.mark.parametrize(
        ("message", "as_binary", "frame"),
        [
            ("text", None, Frame(TEXT, b"text")),
            (b"bytes", None, Frame(BINARY, b"bytes")),
            ("text", True, Frame(BINARY, b"text")),
            (b"text", False, Frame(TEXT, b"text")),
            (bytearray(b"a"), None, Frame(BINARY, b"a")),
            (memoryview(b"a"), None, Frame(BINARY, b"a")),
        ],
    )
    def test_a_message_is_one_frame(self, start: Start, message: Any, as_binary: Any, frame: Frame) -> None:
        line = start()
        assert line.talk.send(message, as_binary) is True
        assert line.peer.frame() == frame

    def test_over_the_limit_it_is_left_to_others(self, start: Start) -> None:
        line = start(max_send_buffer=1)
        assert line.talk.send("taken, however long")
        message = Broadcast("to all")
        assert line.talk.send("x", None, True)
        assert line.talk._send_broadcast(message)
        assert line.talk._lifecycle.left == [("send later", TEXT, b"x", True), ("broadcast later", message)]

    def test_so_is_what_another_thread_sends(self, start: Start) -> None:
        line = start()
        gevent.get_hub().threadpool.apply(line.talk.send, ("from a thread",))
        assert line.talk._lifecycle.left == [("send later", TEXT, b"from a thread", None)]

    def test_what_is_not_active_sends_nothing(self, start: Start) -> None:
        line = start()
        line.talk.active = False
        assert not line.talk.send("x")
        assert not line.talk.send(b"x", None, True)
        assert not line.talk._send_broadcast(Broadcast("x"))
        assert not line.talk._endpoint.output_size

    def test_others_learn_that_output_has_left_if_they_ask_for_it(self, start: Start) -> None:
        line = start()
        line.talk.send("unobserved")
        line.peer.frame()
        line.talk._watches_output = True
        line.talk.send("x")
        line.expect_left(("output left", 0))

    def test_the_last_frame_leaves_whole_before_the_end(self, start: Start) -> None:
        line = start()
        line.talk._watches_output = line.talk._lifecycle.closes = True
        line.talk.send("last")
        line.expect_left(("output left", 0))
        line.channel.release()
        assert line.peer.frame().payload == b"last"
        assert line.peer.read_to_end() == b""

    def test_a_peer_that_takes_nothing_is_answered_its_latest_ping_only(self, start: Start) -> None:
        line = start()
        while not line.channel.awaits_room:
            line.talk.send(bytes(100_000))
            line.channel.flush()
        stuck_since = line.talk._stuck_since
        assert stuck_since > 0
        for payload in (b"1", b"2"):
            answer_ping(line.talk, payload)
        while (frame := line.peer.frame()).opcode != PONG:
            pass
        assert frame == Frame(PONG, b"2")
        line.until(lambda: not line.channel.awaits_room)
        assert line.talk._stuck_since >= stuck_since


class TestHowMuchIsReadAtOnce:
    def test_is_everything_that_the_buffer_holds(self, start: Start) -> None:
        line = start()
        assert read_size(line.channel, False) == line.channel.loop.buffer.size

    def test_is_little_if_it_may_inflate(self, start: Start) -> None:
        assert read_size(start().channel, True) == COMPRESSED_READ

    def test_is_less_if_many_wait(self, start: Start) -> None:
        line = start()

        class Waiting:
            def proceed(self) -> None:
                """Have the turn, and do nothing with it."""

        while not line.channel.loop.is_crowded():
            line.channel.loop.queue(Waiting())
        assert read_size(line.channel, False) == CROWDED_READ
