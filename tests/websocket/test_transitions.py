"""How a connection ends, step by step, by a clock that the test sets."""

from __future__ import annotations

from time import monotonic

import pytest
from gevent.event import Event as Signal

from geventkws.protocol import closing
from geventkws.protocol.closing import State
from geventkws.websocket.transitions import advance, outcome_of
from tests.helpers import in_hub
from tests.raw import CLOSE, PING, PONG, TEXT, Frame, close_frame, masked
from tests.waiting import PATIENCE
from tests.websocket.lines import Start, Teller


class TestTheTable:
    def test_what_is_not_in_it_changes_nothing(self, start: Start) -> None:
        line = start(Teller())
        for event in (closing.HANDLED, closing.SENT, closing.TIME):
            advance(line.connection, event)
            assert line.connection._state == State.OPEN
        assert line.connection.active

    def test_pings_are_answered_in_every_state_in_which_anything_is(self, start: Start) -> None:
        line = start(Teller())
        line.peer.send(masked(PING, b"?"))
        assert line.peer.frame() == Frame(PONG, b"?")

    def test_our_close_waits_for_the_peers_answer(self, start: Start) -> None:
        service = Teller()
        line = start(service)
        line.connection.close(4002, "enough")
        assert line.connection._state == State.CLOSING
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
        assert line.connection._state == State.CLOSING
        in_hub(line.connection._check, began + 5.1)
        assert line.connection._state == State.CLOSED
        assert outcome_of(line.connection) == 1006

    def test_one_that_has_arrived_by_then_counts(self, start: Start) -> None:
        line = start(Teller(), close_timeout=5)
        line.connection.close(4000)
        line.peer.send(close_frame(4000))
        in_hub(line.connection._check, monotonic() + 5.1)
        assert outcome_of(line.connection) == 4000

    def test_a_peers_close_does_not_wait_longer_for_a_busy_service(self, start: Start) -> None:
        go_on = Signal()
        line = start(Teller(received=lambda connection: go_on.wait(PATIENCE)), close_timeout=5)
        line.peer.send(masked(TEXT, "work") + close_frame(1000))
        line.until(lambda: line.connection._state == State.PEER_CLOSED)
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
        assert line.connection._state == state
