"""nginx and HAProxy in front of the server, plain and terminating TLS."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent
import pytest
import websocket

from tests.certificates import Certificates
from tests.clients.ground import SCHEMES, Ground, Scheme, ground
from tests.clients.proxies import IDLE, PROXIES, proxy
from tests.waiting import PATIENCE

MEBI = 1024 * 1024


@dataclass(frozen=True)
class Front:
    """A proxy, with the server behind it."""

    address: str
    behind: Ground

    @contextmanager
    def connect(self, path: str, *subprotocols: str) -> Iterator[websocket.WebSocket]:
        """Connect through the proxy, from a page of the same origin."""
        client = websocket.create_connection(
            self.address + path,
            timeout=PATIENCE,
            sslopt={"ca_certs": self.behind.cafile},
            subprotocols=list(subprotocols) or None,
        )
        try:
            yield client
        finally:
            client.shutdown()


@pytest.fixture(scope="module", params=itertools.product(PROXIES, SCHEMES), ids="-".join)
def front(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    cafile: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Front]:
    """A proxy for each kind of client; the server behind it believes what the proxy says about them."""
    name: str
    scheme: Scheme
    name, scheme = request.param
    directory = tmp_path_factory.mktemp(name)
    with (
        ground("ws", certificates, cafile, trusted_proxies=["127.0.0.0/8"]) as behind,
        proxy(name, directory, scheme, certificates, behind.port) as address,
    ):
        yield Front(address, behind)


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    with gevent.Timeout(2 * PATIENCE):
        yield


def test_messages_come_back(front: Front) -> None:
    with front.connect("/echo", "soap", "chat") as client:
        assert client.subprotocol == "chat"
        client.send("Grüße 👋")
        assert client.recv() == "Grüße 👋"
        client.send_binary(b"\0\xff")
        assert client.recv() == b"\0\xff"
        client.send("")
        assert client.recv() == ""


def test_a_mebibyte_passes_both_ways(front: Front) -> None:
    with front.connect("/echo") as client:
        client.send("wörd" * (MEBI // 5))
        assert client.recv() == "wörd" * (MEBI // 5)
        data = bytes(range(256)) * (MEBI // 256)
        client.send_binary(data)
        assert client.recv() == data


def test_a_thousand_messages_pass_in_order(front: Front) -> None:
    with front.connect("/echo") as client:
        for number in range(1000):
            client.send(str(number))
        assert [client.recv() for _ in range(1000)] == [str(number) for number in range(1000)]


def test_the_clients_close_reaches_the_server(front: Front) -> None:
    name = front.address.replace("/", "")
    with front.connect(f"/presence/{name}") as client:
        client.close(4321, "Auf Wiederhören".encode(), timeout=PATIENCE)
        assert front.behind.ledger.wait(name) == (4321, "Auf Wiederhören")


@pytest.mark.parametrize("command", ["close", "drop"])
def test_the_servers_close_reaches_the_client(front: Front, command: str) -> None:
    with front.connect("/commands") as client:
        client.send(json.dumps([command, 4999, "Genug"]))
        assert client.recv_data() == (websocket.ABNF.OPCODE_CLOSE, b"\x13\x87Genug")


def test_a_lost_server_is_the_end_of_the_connection(front: Front) -> None:
    with front.connect("/commands") as client:
        client.send('["vanish"]')
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionResetError)):
            client.recv()


def test_a_lost_client_is_seen_as_1006(front: Front) -> None:
    name = f"lost{front.address.replace('/', '')}"
    with front.connect(f"/presence/{name}"):
        pass
    assert front.behind.ledger.wait(name) == (1006, "")


def test_refusals_pass_with_their_status(front: Front) -> None:
    for path, status in (("/refused", 403), ("/nobody/is/here", 404)):
        with pytest.raises(websocket.WebSocketBadStatusException) as refusal, front.connect(path):
            pass
        assert refusal.value.status_code == status


def test_the_proxy_ends_idle_connections_without_pings(front: Front) -> None:
    name = f"idle{front.address.replace('/', '')}"
    with front.connect(f"/presence/{name}"), front.connect("/idle") as pinged:
        with pytest.raises(gevent.Timeout), gevent.Timeout(1.5 * IDLE):
            pinged.recv_data()  # answers pings; nothing else comes
        pinged.send("")
        messages, size = json.loads(pinged.recv())
        assert messages == 1
        assert size > 6 + 6, "there was no pong"
        assert front.behind.ledger.wait(name) == (1006, "")
