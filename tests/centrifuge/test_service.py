"""The service: connecting, its callbacks, and what it refuses."""

from __future__ import annotations

import json
from time import time
from typing import Any

import gevent
import jwt
import pytest

from geventkws.centrifuge import (
    CentrifugeService,
    Client,
    ClientError,
    Connected,
    Disconnect,
    Namespace,
    Subscribed,
)
from geventkws.pubsub import PubSub
from geventkws.request import Request
from tests.centrifuge.conftest import Enter
from tests.centrifuge.peers import PATH, Open, Peer
from tests.waiting import PATIENCE, wait_until

SECRET = "a secret that has at least 32 bytes"
EVERYTHING = Namespace(may_subscribe="everyone", may_publish="everyone")


def service(kind: type[CentrifugeService] = Open, **options: Any) -> CentrifugeService:
    return kind(PubSub(), **options)


def token(**claims: Any) -> str:
    return jwt.encode({"sub": "ann", **claims}, SECRET, "HS256")


class Calls(Open):
    """Everything that an application may define."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.said: list[Any] = []

    def subscribe(self, client: Client, channel: str, data: Any) -> Subscribed | None:
        if channel == "refused":
            raise ClientError(400, "not for you")
        return Subscribed({"seat": data}, {"welcome": channel}) if data else None

    def publish(self, client: Client, channel: str, data: Any) -> None:
        self.said.append((client.user, channel, data))

    def rpc(self, client: Client, method: str, data: Any) -> Any:
        if method == "fail":
            raise RuntimeError("a mistake")
        if method == "leave":
            raise Disconnect(4500, "banned")
        return {"method": method, "data": data}

    def message(self, client: Client, data: Any) -> None:
        client.send({"you said": data})

    def client_disconnected(self, client: Client, reason: int) -> None:
        self.said.append((client.user, int(reason)))


# Connecting


def test_a_client_that_connects_is_told_its_id_and_when_it_is_pinged(enter: Enter) -> None:
    with Peer(service()) as peer:
        result = peer.ask("connect", data={"user": "ann"})
        assert result.pop("client") == peer.socket.connection.id
        assert result.pop("version").startswith("geventkws ")
        assert result == {"data": {"hello": 1}, "ping": 25, "pong": True}


def test_a_client_with_pings_of_websocket_is_not_told_of_others() -> None:
    with Peer(service(), f"{PATH}?cf_ws_frame_ping_pong=true") as peer:
        assert not {"ping", "pong"} & set(peer.ask("connect"))


def test_nobody_connects_to_a_service_that_does_not_say_who() -> None:
    with Peer(service(CentrifugeService)) as peer:
        peer.send({"id": 1, "connect": {"token": token()}})
        assert peer.end() == (3507, "permission denied")


@pytest.mark.parametrize("frame", ["{", '{"id":1,"ping":{}}', '{"id":1,"connect":{}}\n{"id":2,"connect":{}}'])
def test_what_is_not_in_order_ends_the_connection(frame: str) -> None:
    with Peer(service()) as peer:
        peer.socket.send(frame)
        assert peer.end() == (3501, "bad request")


@pytest.mark.logs_errors
def test_a_connect_that_returns_nothing_lets_nobody_in() -> None:
    class Forgetful(CentrifugeService):
        def connect(self, client: Client, request: Request, data: Any) -> Any:
            """Return nothing."""

    with Peer(service(Forgetful)) as peer:
        assert peer.fail("connect") == 100
        peer.send({"id": 2, "ping": {}})
        assert peer.end() == (3501, "bad request")


def test_the_cookies_of_the_request_say_who_it_is() -> None:
    class Login(CentrifugeService):
        def connect(self, client: Client, request: Request, data: Any) -> Connected:
            if "session" not in request.cookies:
                raise ClientError(101)
            return Connected(request.cookies["session"])

    with Peer(service(Login)) as peer:
        assert peer.fail("connect") == 101
    with Peer(service(Login), headers={"Cookie": "session=ann"}) as peer:
        assert peer.ask("connect")["client"]


# Tokens


def test_a_token_lets_a_client_in_and_subscribes_it(enter: Enter) -> None:
    with Peer(service(CentrifugeService, secret=SECRET)) as peer:
        result = peer.ask("connect", token=token(channels=["news"], exp=time() + 60))
        assert (result["expires"], result["subs"]) == (True, {"news": {}})
        assert 55 < result["ttl"] <= 60
        refreshed = peer.ask("refresh", token=token(exp=time() + 600))
        assert 590 < refreshed["ttl"] <= 600
        assert peer.fail("refresh", token=token(exp=time() - 60)) == 109
        peer.send({"id": 9, "refresh": {"token": token(sub="bob")}})
        assert peer.end() == (3500, "invalid token")


def test_an_expired_token_is_an_error_and_a_wrong_one_the_end() -> None:
    with Peer(service(CentrifugeService, secret=SECRET)) as peer:
        assert peer.fail("connect", token=token(exp=time() - 60)) == 109
    with Peer(service(CentrifugeService, secret=SECRET)) as peer:
        peer.send({"id": 1, "connect": {"token": token() + "x"}})
        assert peer.end() == (3500, "invalid token")


def test_a_token_lets_a_client_subscribe() -> None:
    with Peer(service(CentrifugeService, secret=SECRET)) as peer:
        peer.ask("connect", token=token())
        assert peer.fail("subscribe", channel="news") == 103
        assert peer.fail("subscribe", channel="news", token=token(channel="olds")) == 103
        result = peer.ask("subscribe", channel="news", token=token(channel="news", exp=time() + 60))
        assert result["expires"]
        refreshed = peer.ask("sub_refresh", channel="news", token=token(channel="news", exp=time() + 600))
        assert refreshed["ttl"] > 590
        assert peer.fail("sub_refresh", channel="other", token=token(channel="other")) == 103


# Callbacks


def test_a_call_is_answered_by_the_application(enter: Enter) -> None:
    peer = enter(service(Calls))
    assert peer.ask("rpc", method="add", data=[1, 2]) == {"data": {"method": "add", "data": [1, 2]}}
    peer.send({"send": {"data": "hi"}})
    assert peer.push() == {"message": {"data": {"you said": "hi"}}}
    peer.send({"id": 7, "rpc": {"method": "leave"}})
    assert peer.end() == (4500, "banned")


@pytest.mark.logs_errors
def test_a_mistake_of_the_application_is_an_error(enter: Enter) -> None:
    peer = enter(service(Calls))
    error = peer.reply("rpc", method="fail")["error"]
    assert error == {"code": 100, "message": "internal server error", "temporary": True}
    assert peer.ask("ping") == {}


def test_the_application_decides_about_subscriptions_and_publications(enter: Enter) -> None:
    calls = service(Calls)
    assert isinstance(calls, Calls)
    peer = enter(calls, info={"name": "Ann"})
    assert peer.reply("subscribe", channel="refused")["error"] == {"code": 400, "message": "not for you"}
    assert peer.ask("subscribe", channel="news", data=3) == {"data": {"welcome": "news"}}
    peer.send({"id": 5, "publish": {"channel": "news", "data": {"n": 1}}})
    info = {
        "user": "ann",
        "client": peer.socket.connection.id,
        "conn_info": {"name": "Ann"},
        "chan_info": {"seat": 3},
    }
    assert peer.push() == {"channel": "news", "pub": {"data": {"n": 1}, "info": info}}
    assert peer.receive() == {"id": 5, "publish": {}}
    assert calls.said == [("ann", "news", {"n": 1})]
    peer.socket.close()
    wait_until(lambda: calls.said[1:] == [("ann", 1000)])


def test_nothing_is_allowed_by_default(enter: Enter) -> None:
    peer = enter(service())
    assert peer.fail("subscribe", channel="news") == 103
    assert peer.fail("publish", channel="news", data=1) == 103
    assert peer.fail("rpc", method="x") == 108
    assert peer.fail("presence", channel="news") == 108
    assert peer.fail("presence_stats", channel="news") == 108
    assert peer.fail("history", channel="news") == 108
    assert peer.fail("sub_refresh", channel="news") == 103
    assert peer.fail("subscribe", channel="unknown:news") == 102
    peer.send({"send": {"data": 1}})
    assert peer.end() == (3508, "not available")


def test_what_is_not_spoken_is_refused(enter: Enter) -> None:
    peer = enter(service(namespaces={"": EVERYTHING}))
    assert peer.fail("subscribe", channel="news", type=1) == 108
    assert peer.fail("publish", channel="news", data=1, type=1) == 108
    assert peer.fail("publish", channel="news") == 107
    assert peer.fail("subscribe", channel="") == 107
    assert peer.fail("subscribe", channel="x" * 256) == 107
    assert peer.fail("dance") == 104
    assert "delta" not in peer.ask("subscribe", channel="news", delta="fossil")
    assert peer.fail("subscribe", channel="news") == 105
    peer.ask("unsubscribe", channel="news")
    peer.ask("subscribe", channel="news")
    peer.ask("subscribe", channel="x" * 255)


def test_a_client_has_so_many_channels_and_no_more(enter: Enter) -> None:
    few = service(namespaces={"": EVERYTHING}, channel_limit=2)
    peer = enter(few, channels=["a"])
    peer.ask("subscribe", channel="b")
    assert peer.fail("subscribe", channel="c") == 106
    with Peer(few) as other:
        other.send({"id": 1, "connect": {"data": {"channels": ["a", "b", "c"]}}})
        assert other.end() == (3505, "channel limit")


def test_a_binary_service_takes_and_gives_bytes(enter: Enter) -> None:
    class Echo(CentrifugeService):
        def connect(self, client: Client, request: Request, data: Any) -> Connected:
            return Connected("ann", data=data)

        def rpc(self, client: Client, method: str, data: Any) -> Any:
            return data.decode() if method == "wrong" else data

    peer = Peer(service(Echo, binary=True))
    with peer:
        assert peer.ask("connect", data=[1])["data"] == [1]
        assert peer.ask("rpc", data={"a": 1}) == {"data": {"a": 1}}


# The end


def test_when_the_server_stops_clients_are_told_to_come_back(enter: Enter) -> None:
    calls = service(Calls)
    peer = enter(calls)
    stopping = gevent.spawn(peer.socket._server.stop)
    assert peer.end() == (3001, "shutdown")
    stopping.get(timeout=PATIENCE)
    assert isinstance(calls, Calls)
    assert calls.said == [("ann", 3001)]


def test_one_that_reads_too_slowly_is_told_so_while_others_get_everything() -> None:
    pubsub = PubSub()
    slow, fast = (
        Peer(Open(pubsub, namespaces={"": EVERYTHING}), max_send_buffer=size) for size in (1000, 2**30)
    )
    with slow, fast:
        for peer in (slow, fast):
            peer.ask("connect")
            peer.ask("subscribe", channel="news")
        published = 0
        while slow.socket.connection.active:
            pubsub.publish("news", json.dumps({"number": published, "text": "x" * 10_000}))
            assert fast.push()["pub"]["data"]["number"] == published
            published += 1
        code, text = slow.end()
        assert (code, text) == (3008, "slow")
        assert slow.socket.reason == 3008


# Mistakes


@pytest.mark.parametrize("name", ["connected", "received", "disconnected", "run"])
def test_the_callbacks_of_other_services_are_not_to_be_defined(name: str) -> None:
    with pytest.raises(TypeError, match=f"Wrong defines {name}: define .* instead"):
        type("Wrong", (CentrifugeService,), {name: lambda *args: None})


def test_a_service_takes_channels_and_one_kind_of_keys() -> None:
    wrong: Any = "redis://localhost"
    with pytest.raises(TypeError, match="takes a PubSub, not 'redis://localhost'"):
        CentrifugeService(wrong)
    with pytest.raises(TypeError, match="either a secret or tokens"):
        CentrifugeService(PubSub(), secret=SECRET, tokens=CentrifugeService(PubSub(), secret=SECRET)._tokens)
