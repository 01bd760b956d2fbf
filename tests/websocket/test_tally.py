"""What is added up of connections."""

from __future__ import annotations

from time import monotonic

from geventkws.protocol.endpoint import Endpoint
from geventkws.websocket.tally import Tally, Totals

NAMES = ("messages_received", "bytes_received", "messages_sent", "bytes_sent", "bytes_waiting")


def test_there_is_nothing_at_first() -> None:
    tally = Tally()
    for each in (tally.ended, tally.open):
        assert each.connections == 0
        assert [getattr(each, name) for name in NAMES] == [0] * 5
    assert tally.closed == {}
    assert sum(tally.callbacks.counts()) == 0


def test_connections_are_added_up() -> None:
    totals = Totals()
    for _ in range(2):
        endpoint = Endpoint(100, 10)
        assert endpoint.receive(bytes.fromhex("818537fa213d7f9f4d5158")) == ["Hello"]
        endpoint.send_text("four")
        endpoint.send_text("bytes")
        totals.add(endpoint)
    assert totals.connections == 2
    assert [getattr(totals, name) for name in NAMES] == [2, 2 * 11, 4, 0, 2 * 13], "nothing has left"


def test_a_callback_is_timed_from_its_beginning() -> None:
    tally = Tally()
    now = monotonic()
    assert tally.called(now - 5) >= now
    assert sum(tally.callbacks.counts()) == 1
    assert tally.callbacks.seconds >= 5
