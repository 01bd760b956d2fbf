"""One message to many connections."""

from __future__ import annotations

import gevent
import pytest

from geventkws import WebSocketCloseReasonCode as Code
from geventkws import WebSocketConnection, broadcast
from tests.integration.conftest import Recorder, Serve, Site
from tests.raw import BINARY, TEXT, Frame, RawClient, close_frame, masked
from tests.waiting import PATIENCE


class Audience:
    """Several connections to one service, and their clients in the same order."""

    def __init__(self, serve: Serve, size: int) -> None:
        self.service = Recorder()
        self.site: Site = serve(self.service)
        self.clients: list[RawClient] = []
        for _ in range(size):
            self.clients.append(self.site.connect())
            self.service.expect("connected")
        self.connections: list[WebSocketConnection] = self.service.connections


@pytest.mark.parametrize(
    ("message", "as_binary", "frame"),
    [
        ("hé", None, Frame(TEXT, "hé".encode())),
        (b"\x00\xff", None, Frame(BINARY, b"\x00\xff")),
        (bytearray(b"x"), None, Frame(BINARY, b"x")),
        ("text", True, Frame(BINARY, b"text")),
        (b"text", False, Frame(TEXT, b"text")),
        ("", None, Frame(TEXT, b"")),
        ("x" * 70_000, None, Frame(TEXT, b"x" * 70_000)),
    ],
)
def test_all_get_the_same_frame(
    serve: Serve, message: str | bytes | bytearray, as_binary: bool | None, frame: Frame
) -> None:
    audience = Audience(serve, 3)
    assert broadcast(audience.connections, message, as_binary) == 3
    assert [client.frame() for client in audience.clients] == [frame] * 3


def test_it_counts_and_skips_those_that_are_not_open(serve: Serve) -> None:
    audience = Audience(serve, 4)
    audience.connections[0].close()
    audience.connections[1].drop()
    audience.clients[2].send(close_frame(1000))
    audience.service.expect("disconnected", 1000)
    audience.service.expect("disconnected", 1000)
    assert broadcast(audience.connections, "news") == 1
    assert audience.clients[3].frame() == Frame(TEXT, b"news")
    for closed in audience.clients[:3]:
        assert closed.close_code() == (1000, "")


def test_no_receivers_are_sent_nothing() -> None:
    assert broadcast([], "news") == 0


@pytest.mark.parametrize(
    ("message", "as_binary", "error"),
    [
        (42, None, TypeError),
        (None, None, TypeError),
        (b"\xff", False, ValueError),
        ("\ud800", None, ValueError),
    ],
)
def test_a_mistake_raises_before_anybody_gets_anything(
    serve: Serve, message: str, as_binary: bool | None, error: type[Exception]
) -> None:
    audience = Audience(serve, 2)
    with pytest.raises(error):
        broadcast(audience.connections, message, as_binary)
    broadcast(audience.connections, "next")
    assert [client.frame() for client in audience.clients] == [Frame(TEXT, b"next")] * 2


def test_a_live_view_of_a_dict_will_do(serve: Serve) -> None:
    audience = Audience(serve, 3)
    by_id = {connection.id: connection for connection in audience.connections}
    assert broadcast(by_id.values(), "news") == 3
    assert broadcast((connection for connection in by_id.values()), "more") == 3


def test_the_message_is_copied_before_the_caller_may_change_it(serve: Serve) -> None:
    audience = Audience(serve, 2)
    message = bytearray(b"before")
    broadcast(audience.connections, message)
    message[:] = b"after!"
    assert [client.frame() for client in audience.clients] == [Frame(BINARY, b"before")] * 2


def test_a_callback_that_broadcasts_to_its_whole_room_reaches_itself_too(serve: Serve) -> None:
    counts: list[int] = []

    def received(message: str, connection: WebSocketConnection) -> None:
        counts.append(broadcast(service.connections, message))

    service = Recorder(received=received)
    site = serve(service)
    clients = [site.connect() for _ in range(20)]
    with gevent.Timeout(PATIENCE):
        while len(service.connections) < 20:
            gevent.sleep(0.005)
    clients[0].send(masked(TEXT, "to all"))
    assert [client.frame() for client in clients] == [Frame(TEXT, b"to all")] * 20
    assert counts == [20]


def test_any_number_of_peers_may_have_gone_unnoticed(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    audience = Audience(serve, 400)
    for client in audience.clients[:-1]:
        client.reset()
    # The hub has no turn in between: the sends fail one after the other.
    assert broadcast(audience.connections, "hello") == 400
    for _ in range(399):
        audience.service.expect("disconnected", Code.CLOSED_ABNORMALLY)
    assert audience.clients[-1].frame() == Frame(TEXT, b"hello")
    assert audience.site.server.websockets == {audience.connections[-1]}
    assert not capfd.readouterr().err, "what the hub reports"
