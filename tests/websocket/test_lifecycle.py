"""How a service is called, in which order, and how its connection ends, by a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal

from geventkws import ConnectionClosed, WebSocketConnection, WebSocketService
from geventkws import WebSocketCloseReasonCode as Code
from geventkws.protocol import closing
from geventkws.protocol.closing import State
from geventkws.websocket.lifecycle import Lifecycle
from tests.helpers import in_hub
from tests.raw import CLOSE, PING, PONG, TEXT, Frame, close_frame, masked
from tests.waiting import PATIENCE
from tests.websocket.lines import Line, Start


class Teller(WebSocketService):
    """Does what the test gave it to do, and records how it is called."""

    def __init__(self, **acts: Callable[..., object]) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.acts = acts

    def _act(self, *told: Any, connection: WebSocketConnection) -> None:
        self.told.append(told)
        self.acts.get(told[0], lambda connection: None)(connection)

    def connected(self, connection: WebSocketConnection) -> None:
        self._act("connected", connection=connection)

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        self._act("received", message, connection=connection)

    def disconnected(self, connection: WebSocketConnection, reason: Code) -> None:
        self._act("disconnected", reason, connection=connection)


class Puller(Teller):
    """Takes the messages itself."""

    def run(self, connection: WebSocketConnection) -> None:
        self._act("run", connection=connection)


def life(line: Line) -> Lifecycle[WebSocketConnection]:
    return line.connection._lifecycle


class TestWhatTheServiceIsTold:
    def test_is_the_beginning_the_messages_and_the_end(self, start: Start) -> None:
        service = Teller()
        line = start(service)
        line.peer.send(masked(TEXT, "1") + masked(TEXT, "2") + close_frame(4000, "bye"))
        line.until(lambda: line.home.ends)
        assert service.told == [("connected",), ("received", "1"), ("received", "2"), ("disconnected", 4000)]
        assert line.connection.close_description == "bye"

    def test_is_nothing_before_connected_has_returned(self, start: Start) -> None:
        go_on = Signal()
        service = Teller(connected=lambda connection: go_on.wait(PATIENCE))
        line = start(service)
        line.peer.send(masked(TEXT, "early") + close_frame())
        line.until(lambda: life(line).state == State.PEER_CLOSED)
        assert service.told == [("connected",)]
        go_on.set()
        line.until(lambda: line.home.ends)
        assert service.told == [("connected",), ("received", "early"), ("disconnected", 1005)]

    def test_is_nothing_twice(self, start: Start) -> None:
        service = Teller()
        line = start(service)
        for _ in range(2):
            life(line).lost()
            in_hub(life(line).end_of_stream)
            line.connection.drop()
        line.until(lambda: line.home.ends)
        assert service.told == [("connected",), ("disconnected", 1006)]
        assert line.home.ends == [(line.connection, 1006)]

    @pytest.mark.logs_errors
    @pytest.mark.parametrize("callback", ["connected", "received"])
    def test_is_1011_when_a_callback_has_failed(self, start: Start, callback: str) -> None:
        def fail(connection: WebSocketConnection) -> None:
            raise ZeroDivisionError

        service = Teller(**{callback: fail})
        line = start(service)
        line.peer.send(masked(TEXT, "x") + masked(TEXT, "never told"))
        assert line.peer.close_code() == (1011, "")
        line.peer.close()
        line.until(lambda: line.home.ends)
        assert service.told[-2:] == [(callback, "x")[: 1 + (callback == "received")], ("disconnected", 1011)]

    @pytest.mark.logs_errors
    def test_is_complete_even_if_disconnected_fails(self, start: Start) -> None:
        def fail(connection: WebSocketConnection) -> None:
            raise ZeroDivisionError

        line = start(Teller(disconnected=fail))
        line.peer.send(close_frame(1000))
        line.until(lambda: line.home.ends)
        assert not life(line).is_busy()

    def test_the_host_learns_of_the_end_after_the_service(self, start: Start) -> None:
        ends = []
        service = Teller(disconnected=lambda connection: ends.append(list(line.home.ends)))
        line = start(service)
        life(line).lost()
        line.until(lambda: line.home.ends)
        assert ends == [[]]


class TestThePull:
    def test_the_return_of_run_closes_with_1000(self, start: Start) -> None:
        service = Puller(run=lambda connection: connection.send(connection.receive(PATIENCE)))
        line = start(service)
        line.peer.send(masked(TEXT, "x"))
        assert line.peer.frame() == Frame(TEXT, b"x")
        assert line.peer.close_code() == (1000, "")
        line.peer.send(close_frame(1000))
        line.until(lambda: line.home.ends)
        assert service.told == [("connected",), ("run",), ("disconnected", 1000)]

    def test_the_end_is_raised_after_the_last_message(self, start: Start) -> None:
        got: list[object] = []

        def take(connection: WebSocketConnection) -> None:
            got.append(connection.receive(PATIENCE))
            with pytest.raises(ConnectionClosed) as closed:
                connection.receive(PATIENCE)
            got.append((closed.value.reason, closed.value.description))

        line = start(Puller(run=take))
        line.peer.send(masked(TEXT, "last") + close_frame(4001, "why"))
        line.until(lambda: line.home.ends)
        assert got == ["last", (4001, "why")]

    def test_only_one_greenlet_may_wait(self, start: Start) -> None:
        raised: list[str] = []

        def take_twice(connection: WebSocketConnection) -> None:
            first = gevent.spawn(connection.receive, PATIENCE)
            gevent.sleep(0)
            with pytest.raises(RuntimeError) as error:
                connection.receive(PATIENCE)
            raised.append(str(error.value))
            first.get(timeout=PATIENCE)

        line = start(Puller(run=take_twice))
        line.until(lambda: raised)
        assert raised == ["another greenlet is waiting in receive() for this connection"]
        line.peer.send(masked(TEXT, "for the first"))
        line.until(lambda: life(line).state != State.OPEN)

    def test_a_service_that_is_told_does_not_take(self, start: Start) -> None:
        line = start(Teller())
        with pytest.raises(RuntimeError, match="is for services that define run"):
            line.connection.receive()


class TestTheTable:
    def test_what_is_not_in_it_changes_nothing(self, start: Start) -> None:
        line = start(Teller())
        for event in (closing.HANDLED, closing.SENT, closing.TIME):
            life(line).advance(event)
            assert life(line).state == State.OPEN
        assert line.connection.active

    def test_pings_are_answered_in_every_state_in_which_anything_is(self, start: Start) -> None:
        line = start(Teller())
        line.peer.send(masked(PING, b"?"))
        assert line.peer.frame() == Frame(PONG, b"?")

    def test_our_close_waits_for_the_peers_answer(self, start: Start) -> None:
        service = Teller()
        line = start(service)
        line.connection.close(4002, "enough")
        assert life(line).state == State.CLOSING
        assert not line.connection.active
        assert line.peer.close_code() == (4002, "enough")
        assert not line.home.ends
        line.peer.send(close_frame(4002))
        line.until(lambda: line.home.ends)
        assert service.told[-1] == ("disconnected", 4002)

    def test_a_fault_is_reported_by_its_code_and_its_text(self, start: Start) -> None:
        service = Teller()
        line = start(service)
        line.peer.send(masked(0x0, b"no start"))
        code, text = line.peer.close_code()
        assert code == 1002
        assert text
        line.peer.close()
        line.until(lambda: line.home.ends)
        assert service.told[-1] == ("disconnected", 1002)


class TestTimeLimits:
    def test_an_answer_to_our_close_has_close_timeout(self, start: Start) -> None:
        line = start(Teller(), close_timeout=5)
        line.connection.close()
        began = monotonic()
        in_hub(line.connection._check, began + 4.9)
        assert life(line).state == State.CLOSING
        in_hub(line.connection._check, began + 5.1)
        assert life(line).state == State.CLOSED
        assert life(line).outcome == 1006

    def test_one_that_has_arrived_by_then_counts(self, start: Start) -> None:
        line = start(Teller(), close_timeout=5)
        line.connection.close(4000)
        line.peer.send(close_frame(4000))
        in_hub(line.connection._check, monotonic() + 5.1)
        assert life(line).outcome == 4000

    def test_a_peers_close_does_not_wait_longer_for_a_busy_service(self, start: Start) -> None:
        go_on = Signal()
        line = start(Teller(received=lambda connection: go_on.wait(PATIENCE)), close_timeout=5)
        line.peer.send(masked(TEXT, "work") + close_frame(1000))
        line.until(lambda: life(line).state == State.PEER_CLOSED)
        in_hub(line.connection._check, monotonic() + 5.1)
        assert line.peer.frame().opcode == CLOSE
        go_on.set()

    @pytest.mark.parametrize(("seconds", "state"), [(4, State.FINISHING), (6, State.CLOSED)])
    def test_what_still_leaves_has_it_from_when_the_peer_last_took_some(
        self, start: Start, seconds: float, state: State
    ) -> None:
        line = start(Teller(), close_timeout=5)
        line.fill()
        line.connection.drop()
        line.connection._stuck_since = monotonic() - seconds
        in_hub(line.connection._check, monotonic() + 5.1)
        assert life(line).state == state


class TestErrors:
    def test_one_of_the_socket_is_the_end(self, start: Start) -> None:
        line = start(Teller())
        life(line).crashed(BrokenPipeError())
        assert life(line).state == State.CLOSED
        assert not line.channel.is_open

    @pytest.mark.logs_errors
    def test_one_of_ours_is_logged_too(self, start: Start, caplog: pytest.LogCaptureFixture) -> None:
        line = start(Teller())
        life(line).crashed(AssertionError("ours"))
        assert life(line).outcome == 1006
        [record] = caplog.records
        assert record.getMessage() == "internal error; the connection is dropped"


def test_a_child_process_forgets_it_without_a_word(start: Start) -> None:
    service = Teller()
    line = start(service)
    life(line).forsake()
    assert not line.channel.is_open
    assert not life(line).is_busy()
    gevent.sleep(0.01)
    assert service.told == [("connected",)]
    assert not line.home.ends


def test_it_is_busy_until_the_last_callback_has_returned(start: Start) -> None:
    busy: list[bool] = []
    line = start(Teller(disconnected=lambda connection: busy.append(life(line).is_busy())))
    busy.append(life(line).is_busy())
    life(line).lost()
    line.until(lambda: line.home.ends)
    assert [*busy, life(line).is_busy()] == [True, True, False]
