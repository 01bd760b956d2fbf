"""How a service is called, in which order, and how its connection ends, by a clock that the test sets."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event as Signal

from geventkws import ConnectionClosed, WebSocketConnection
from geventkws.protocol.closing import State
from geventkws.websocket.lifecycle import is_busy
from geventkws.websocket.transitions import outcome_of
from tests.helpers import in_hub
from tests.raw import TEXT, Frame, close_frame, masked
from tests.waiting import PATIENCE
from tests.websocket.lines import Start, Teller


class Puller(Teller):
    """Takes the messages itself."""

    def run(self, connection: WebSocketConnection) -> None:
        self._act("run", connection=connection)


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
        line.until(lambda: line.connection._state == State.PEER_CLOSED)
        assert service.told == [("connected",)]
        go_on.set()
        line.until(lambda: line.home.ends)
        assert service.told == [("connected",), ("received", "early"), ("disconnected", 1005)]

    def test_is_nothing_twice(self, start: Start) -> None:
        service = Teller()
        line = start(service)
        for _ in range(2):
            line.connection._lifecycle.lost(line.connection)
            in_hub(line.connection._lifecycle.end_of_stream, line.connection)
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
        assert not is_busy(line.connection)

    def test_the_host_learns_of_the_end_after_the_service(self, start: Start) -> None:
        ends = []
        service = Teller(disconnected=lambda connection: ends.append(list(line.home.ends)))
        line = start(service)
        line.connection._lifecycle.lost(line.connection)
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
        line.until(lambda: line.connection._state != State.OPEN)

    def test_a_service_that_is_told_does_not_take(self, start: Start) -> None:
        line = start(Teller())
        with pytest.raises(RuntimeError, match="is for services that define run"):
            line.connection.receive()


class TestErrors:
    def test_one_of_the_socket_is_the_end(self, start: Start) -> None:
        line = start(Teller())
        line.connection._crashed(BrokenPipeError())
        assert line.connection._state == State.CLOSED
        assert not line.channel.is_open

    @pytest.mark.logs_errors
    def test_one_of_ours_is_logged_too(self, start: Start, caplog: pytest.LogCaptureFixture) -> None:
        line = start(Teller())
        line.connection._crashed(AssertionError("ours"))
        assert outcome_of(line.connection) == 1006
        [record] = caplog.records
        assert record.getMessage() == "internal error; the connection is dropped"


def test_a_child_process_forgets_it_without_a_word(start: Start) -> None:
    service = Teller()
    line = start(service)
    line.connection._forsake()
    assert not line.channel.is_open
    assert not is_busy(line.connection)
    gevent.sleep(0.01)
    assert service.told == [("connected",)]
    assert not line.home.ends


def test_it_is_busy_until_the_last_callback_has_returned(start: Start) -> None:
    busy: list[bool] = []
    line = start(Teller(disconnected=lambda connection: busy.append(is_busy(line.connection))))
    busy.append(is_busy(line.connection))
    line.connection._lifecycle.lost(line.connection)
    line.until(lambda: line.home.ends)
    assert [*busy, is_busy(line.connection)] == [True, True, False]
