"""The connections that are open, counted in one go."""

from __future__ import annotations

from geventkws.websocket.census import count_open
from geventkws.websocket.tally import Tally
from tests.integration.conftest import Recorder, Serve
from tests.raw import TEXT, masked


def test_those_of_a_tally_are_added_to_it_and_others_are_not(serve: Serve) -> None:
    service = Recorder()
    site = serve(service)
    clients = [site.connect() for _ in range(3)]
    clients[0].send(masked(TEXT, "hello"))
    site.connect(None)
    for _ in range(4):
        service.calls.get()
    tally = Tally()
    for connection in service.connections[:2]:
        connection._tally = tally
    assert count_open(site.server._connections.peers) == 2
    assert (tally.open.connections, tally.open.messages_received) == (2, 1)
