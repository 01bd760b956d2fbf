"""What is due for clients: pings, and the end of those who are too late or have expired."""

from __future__ import annotations

from time import monotonic, time
from typing import Any

import pytest

from geventkws.centrifuge import CentrifugeService, Client, Connected, Namespace, Subscribed
from geventkws.centrifuge.clock import CONNECT_TIMEOUT, GRACE, PING_INTERVAL, PONG_TIMEOUT, Clock
from geventkws.pubsub import PubSub
from geventkws.request import Request
from tests.centrifuge.peers import PATH, Open, Peer
from tests.waiting import wait_until


def clock_of(service: CentrifugeService) -> Clock:
    (clock,) = service._clocks._clocks.values()
    return clock


def client_of(service: CentrifugeService) -> Client:
    (client,) = service._clients.values()
    return client


class Expiring(Open):
    """A service whose connections and subscriptions expire at once."""

    goes_on_until: float | None = None

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        return Connected("ann", expires_at=time())

    def refresh(self, client: Client) -> float | None:
        return self.goes_on_until or super().refresh(client)

    def subscribe(self, client: Client, channel: str, data: Any) -> Subscribed:
        return Subscribed(expires_at=time())


def test_a_client_that_does_not_connect_is_stale() -> None:
    service = Open(PubSub())
    with Peer(service) as peer:
        peer.socket.settle()
        clock_of(service).look(monotonic() + CONNECT_TIMEOUT - 1, time())
        assert client_of(service).connection.active
        clock_of(service).look(monotonic() + CONNECT_TIMEOUT, time())
        assert peer.end() == (3502, "stale")


@pytest.mark.parametrize("path", [PATH, f"{PATH}?cf_ws_frame_ping_pong=true"])
def test_a_client_that_answers_pings_stays_and_one_that_does_not_ends(path: str) -> None:
    service = Open(PubSub())
    with Peer(service, path) as peer:
        peer.ask("connect")
        clock, client = clock_of(service), client_of(service)
        client.due = client.ping_at = 0.0
        clock.look(monotonic(), time())
        pinged_at = client.pinged_at
        assert pinged_at is not None
        if path == PATH:
            assert peer.receive() == {}
            peer.send({})
        else:
            peer.ask("ping")  # and answers the ping of WebSocket as it reads
        wait_until(lambda: client.has_answered)
        clock.look(pinged_at + PONG_TIMEOUT, time())
        assert client.pinged_at is None
        clock.look(pinged_at + PING_INTERVAL + 1, time())
        clock.look(pinged_at + PING_INTERVAL + 1 + PONG_TIMEOUT, time())
        assert peer.end() == (3012, "no pong")


def test_a_connection_expires_or_goes_on() -> None:
    service = Expiring(PubSub())
    service.goes_on_until = time() + 60
    with Peer(service) as peer:
        assert "expires" not in peer.ask("connect")  # the client need do nothing
        clock_of(service).look(monotonic(), time())
        wait_until(lambda: client_of(service).expires_at == service.goes_on_until)
        service.goes_on_until = None
        client_of(service).due = 0.0
        clock_of(service).look(monotonic(), time() + 60)
        assert peer.end() == (3005, "connection expired")


def test_a_connection_with_a_token_has_some_time_for_another() -> None:
    service = Expiring(PubSub())
    with Peer(service) as peer:
        assert peer.ask("connect", token="one")["expires"]
        clock_of(service).look(monotonic(), time())
        assert client_of(service).connection.active
        client_of(service).due = 0.0
        clock_of(service).look(monotonic(), time() + GRACE)
        assert peer.end() == (3005, "connection expired")


@pytest.mark.logs_errors
def test_a_refresh_that_fails_lets_the_client_come_back() -> None:
    class Failing(Expiring):
        def refresh(self, client: Client) -> float | None:
            raise RuntimeError("a mistake")

    service = Failing(PubSub())
    with Peer(service) as peer:
        peer.ask("connect")
        clock_of(service).look(monotonic(), time())
        assert peer.end() == (3004, "internal server error")


def test_a_subscription_expires() -> None:
    service = Expiring(PubSub(), namespaces={"": Namespace()})
    service.goes_on_until = time() + 1000
    with Peer(service) as peer:
        peer.ask("connect")
        assert peer.ask("subscribe", channel="news") == {"expires": True, "ttl": 1}
        client_of(service).due = 0.0
        clock_of(service).look(monotonic(), time() + GRACE)
        said = {"code": 2501, "reason": "subscription expired"}
        assert peer.push() == {"channel": "news", "unsubscribe": said}


def test_there_is_no_clock_without_clients() -> None:
    service = Open(PubSub())
    with Peer(service) as peer:
        peer.ask("connect")
    assert not service._clients
    wait_until(lambda: not service._clocks._clocks)
