"""The order of what a client sends, and its format."""

from __future__ import annotations

import pytest

from geventkws.centrifuge.protocol.codec import Codec
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect
from geventkws.centrifuge.protocol.requests import ConnectRequest, PingRequest, SendRequest
from geventkws.centrifuge.protocol.session import JSON, PROTOBUF, Session, codec_for

pytestmark = pytest.mark.readable


@pytest.mark.parametrize(
    ("subprotocol", "query", "codec"),
    [
        (None, {}, JSON),
        (None, {"cf_protocol": "protobuf"}, PROTOBUF),
        (None, {"format": "protobuf"}, PROTOBUF),
        (None, {"format": "json"}, JSON),
        ("centrifuge-json", {"format": "protobuf"}, JSON),
        ("centrifuge-protobuf", {}, PROTOBUF),
    ],
)
def test_the_client_chooses_the_format(subprotocol: str | None, query: dict[str, str], codec: Codec) -> None:
    assert codec_for(subprotocol, query) is codec


def requests(*frames: str) -> list[object]:
    session = Session(JSON)
    return [session.request(command) for frame in frames for command in session.commands(frame)]


def test_connect_comes_first_and_others_may_follow_in_the_same_frame() -> None:
    frame = '{"id":1,"connect":{}}\n{"id":2,"ping":{}}\n{"send":{}}\n{}'
    assert requests(frame) == [ConnectRequest(), PingRequest(), SendRequest(), None]


@pytest.mark.parametrize(
    "frames",
    [
        ("",),
        ("{",),
        ("{}",),
        ('{"id":1,"ping":{}}',),
        ('{"connect":{}}',),
        ('{"id":1,"connect":{}}', '{"id":2,"connect":{}}'),
        ('{"id":1,"connect":{}}', '{"ping":{}}'),
    ],
)
def test_what_is_not_in_order_ends_the_connection(frames: tuple[str, ...]) -> None:
    with pytest.raises(Disconnect, match=r"bad request \(3501\)"):
        requests(*frames)


def test_an_unknown_command_is_an_error() -> None:
    with pytest.raises(ClientError, match=r"method not found \(104\)"):
        requests('{"id":1,"connect":{}}', '{"id":2,"dance":{}}')
