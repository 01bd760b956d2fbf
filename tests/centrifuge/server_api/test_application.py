"""The HTTP API, called by its client for Python over HTTP, and by whoever should not."""

from __future__ import annotations

import io
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import cent
import pytest
import requests

from geventkws import WebSocketServer
from geventkws.centrifuge import Namespace, api
from geventkws.centrifuge.server_api import results
from geventkws.pubsub import NodeInfo, PubSub
from geventkws.version import __version__
from tests.centrifuge.conftest import Enter
from tests.centrifuge.peers import Open, Peer
from tests.pubsub.conftest import RedisServer, redis_server
from tests.waiting import PATIENCE, wait_until

__all__ = ["redis_server"]

KEY = "0123456789abcdef-key"
NAMESPACES = {
    "": Namespace(may_subscribe="everyone"),
    "kept": Namespace(presence=True, history_size=5, may_subscribe="everyone", may_publish="everyone"),
}

Make = Callable[..., WebSocketServer]


@pytest.fixture(scope="module", params=["memory", "redis"])
def pubsub(request: pytest.FixtureRequest) -> Iterator[PubSub]:
    if request.param == "memory":
        yield PubSub()
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    with closing(PubSub(server.url, prefix=uuid.uuid4().hex)) as pubsub:
        yield pubsub


@pytest.fixture(scope="module")
def service(pubsub: PubSub) -> Open:
    return Open(pubsub, namespaces=NAMESPACES)


@pytest.fixture(scope="module")
def url(pubsub: PubSub, service: Open) -> Iterator[str]:
    """Where a server has the API."""
    server = WebSocketServer(("127.0.0.1", 0), api(pubsub, key=KEY, namespaces=NAMESPACES))
    server.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stop(PATIENCE)


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[cent.Client]:
    with cent.Client(url, KEY, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return uuid.uuid4().hex


@pytest.fixture
def ann(service: Open, enter: Enter, name: str) -> Peer:
    """A client of a user with that name, who has subscribed to the channel ``kept:NAME``."""
    peer = enter(service, user=name, info={"full": "Ann"})
    peer.ask("subscribe", channel=f"kept:{name}")
    return peer


def code_of(function: Callable[..., object], request: object) -> int:
    with pytest.raises(cent.CentApiResponseError) as caught:
        function(request)
    code: int = caught.value.code
    return code


class TestPublishing:
    def test_clients_get_what_is_published(self, client: cent.Client, ann: Peer, name: str) -> None:
        request = cent.PublishRequest(channel=f"kept:{name}", data={"é": [1, None]}, tags={"from": "shop"})
        result = client.publish(request)
        assert result.offset == 1
        assert result.epoch
        publication = {"data": {"é": [1, None]}, "offset": 1, "tags": {"from": "shop"}}
        assert ann.push() == {"channel": f"kept:{name}", "pub": publication}

    def test_without_a_history_there_is_no_position(self, client: cent.Client, name: str) -> None:
        assert client.publish(cent.PublishRequest(channel=name, data=1)) == cent.PublishResult()

    def test_data_may_come_in_base64(self, client: cent.Client, ann: Peer, name: str) -> None:
        client.publish(cent.PublishRequest(channel=f"kept:{name}", data=0, b64data="eyJhIjoxfQ=="))
        assert ann.push()["pub"]["data"] == {"a": 1}

    def test_a_key_lets_a_publication_be_repeated(self, client: cent.Client, ann: Peer, name: str) -> None:
        request = cent.PublishRequest(channel=f"kept:{name}", data="once", idempotency_key="1")
        assert client.publish(request) == client.publish(request)
        client.publish(cent.PublishRequest(channel=f"kept:{name}", data="next"))
        assert [ann.push()["pub"]["data"] for _ in range(2)] == ["once", "next"]

    def test_a_broadcast_answers_for_each_channel(self, client: cent.Client, ann: Peer, name: str) -> None:
        channels = [f"kept:{name}", "unknown:x", "", name]
        responses = client.broadcast(cent.BroadcastRequest(channels=channels, data="all")).responses
        assert [one.error.code if one.error else 0 for one in responses] == [0, 102, 107, 0]
        assert [one.result.offset if one.result else None for one in responses] == [1, None, None, 0]
        assert ann.push()["pub"]["data"] == "all"

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"channel": "unknown:x"}, 102),
            ({"channel": ""}, 107),
            ({"channel": "x" * 256}, 107),
            ({"b64data": "not base64"}, 107),
            ({"b64data": "AA=A"}, 107),
            ({"data": "x" * (1024 * 1024)}, 107),
            ({"skip_history": True}, 108),
            ({"version": 1}, 108),
        ],
    )
    def test_what_cannot_be_published_is_refused(
        self, client: cent.Client, fields: dict[str, Any], code: int
    ) -> None:
        assert code_of(client.publish, cent.PublishRequest(**{"channel": "x", "data": 1, **fields})) == code


class TestUsers:
    def test_a_user_is_subscribed_and_unsubscribed(self, client: cent.Client, ann: Peer, name: str) -> None:
        request = cent.SubscribeRequest(user=name, channel=name, data={"welcome": 1}, info="guest")
        client.subscribe(request)
        push = ann.push()
        assert (push["channel"], push["subscribe"]["data"]) == (name, {"welcome": 1})
        client.publish(cent.PublishRequest(channel=name, data=1))
        assert ann.push()["pub"]["data"] == 1
        client.unsubscribe(cent.UnsubscribeRequest(user=name, channel=name))
        push = ann.push()
        assert (push["channel"], push["unsubscribe"]["code"]) == (name, 2000)

    def test_only_the_client_that_is_named(self, client: cent.Client, ann: Peer, name: str) -> None:
        client.unsubscribe(cent.UnsubscribeRequest(user=name, channel=f"kept:{name}", client="other"))
        client.disconnect(cent.DisconnectRequest(user=name, client=""))
        client.publish(cent.PublishRequest(channel=f"kept:{name}", data=1))
        assert "pub" in ann.push()

    def test_a_user_is_disconnected(self, client: cent.Client, ann: Peer, name: str) -> None:
        client.disconnect(cent.DisconnectRequest(user=name))
        assert ann.end() == (3503, "force disconnect")

    def test_with_a_code_and_a_reason(self, client: cent.Client, ann: Peer, name: str) -> None:
        said = cent.Disconnect(code=4500, reason="banned")
        client.disconnect(cent.DisconnectRequest(user=name, disconnect=said))
        assert ann.end() == (4500, "banned")

    def test_a_connection_goes_on_or_expires(self, client: cent.Client, ann: Peer, name: str) -> None:
        client.refresh(cent.RefreshRequest(user=name, expire_at=int(time.time()) + 3600))
        client.refresh(cent.RefreshRequest(user=name, expired=True))
        assert ann.end() == (3005, "connection expired")

    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            ("disconnect", cent.DisconnectRequest(user="x", disconnect=cent.Disconnect(code=1000))),
            ("disconnect", cent.DisconnectRequest(user="")),
            ("unsubscribe", cent.UnsubscribeRequest(user="x", channel="\n")),
            ("subscribe", cent.SubscribeRequest(user="", channel="x")),
        ],
        ids=["code", "user", "channel", "nobody"],
    )
    def test_what_makes_no_sense_is_refused(self, client: cent.Client, method: str, request_: object) -> None:
        assert code_of(getattr(client, method), request_) == 107

    @pytest.mark.parametrize(
        ("method", "request_"),
        [
            ("disconnect", cent.DisconnectRequest(user="x", whitelist=["1"])),
            ("disconnect", cent.DisconnectRequest(user="x", session="1")),
            ("subscribe", cent.SubscribeRequest(user="x", channel="x", b64data="AA==")),
            ("connections", cent.ConnectionsRequest(user="x", expression="")),
            ("block_user", cent.BlockUserRequest(user="x")),
        ],
        ids=["whitelist", "session", "b64data", "connections", "block_user"],
    )
    def test_what_is_not_offered_is_not_available(
        self, client: cent.Client, method: str, request_: object
    ) -> None:
        assert code_of(getattr(client, method), request_) == 108


class TestLooking:
    def test_who_is_there(
        self, client: cent.Client, ann: Peer, enter: Enter, service: Open, name: str
    ) -> None:
        enter(service, user=name).ask("subscribe", channel=f"kept:{name}")
        present = client.presence(cent.PresenceRequest(channel=f"kept:{name}")).presence
        assert {who.user for who in present.values()} == {name}
        assert [who.conn_info for who in present.values() if who.conn_info] == [{"full": "Ann"}]
        assert all(member == who.client for member, who in present.items())
        stats = client.presence_stats(cent.PresenceStatsRequest(channel=f"kept:{name}"))
        assert (stats.num_clients, stats.num_users) == (2, 1)

    def test_what_was_published(self, client: cent.Client, name: str) -> None:
        channel = f"kept:{name}"
        for number in range(1, 8):
            client.publish(cent.PublishRequest(channel=channel, data=number, tags={"n": str(number)}))

        def numbers(**fields: Any) -> list[int]:
            result = client.history(cent.HistoryRequest(channel=channel, **fields))
            assert result.offset == 7
            assert all(one.tags == {"n": str(one.data)} for one in result.publications)
            return [one.data for one in result.publications]

        epoch = client.history(cent.HistoryRequest(channel=channel)).epoch
        since = cent.StreamPosition(offset=5, epoch=epoch)
        assert numbers() == []
        assert numbers(limit=-1) == [3, 4, 5, 6, 7]
        assert numbers(limit=2) == [3, 4]
        assert numbers(limit=2, reverse=True) == [7, 6]
        assert numbers(limit=9, since=since) == [6, 7]
        assert numbers(limit=9, since=since, reverse=True) == [4, 3]
        lost = cent.HistoryRequest(channel=channel, limit=1, since=cent.StreamPosition(offset=1, epoch=epoch))
        assert code_of(client.history, lost) == 112

    def test_who_has_published_it(self, client: cent.Client, enter: Enter, service: Open, name: str) -> None:
        enter(service, user=name, info={"full": "Ann"}).ask("publish", channel=f"kept:{name}", data="hello")
        (one,) = client.history(cent.HistoryRequest(channel=f"kept:{name}", limit=1)).publications
        assert one.info is not None
        assert (one.data, one.info.user, one.info.conn_info) == ("hello", name, {"full": "Ann"})

    def test_a_history_is_removed(self, client: cent.Client, name: str) -> None:
        channel = f"kept:{name}"
        client.publish(cent.PublishRequest(channel=channel, data=1))
        client.history_remove(cent.HistoryRemoveRequest(channel=channel))
        result = client.history(cent.HistoryRequest(channel=channel, limit=-1))
        assert (result.offset, result.publications) == (1, [])

    def test_what_is_not_json_stands_in_base64(self, pubsub: PubSub, client: cent.Client, name: str) -> None:
        pubsub.publish(f"kept:{name}", b"\xff")
        (one,) = client.history(cent.HistoryRequest(channel=f"kept:{name}", limit=1)).publications
        assert one.model_dump(exclude_defaults=True) == {"data": None, "offset": 1, "b64data": "/w=="}

    def test_what_is_not_kept_is_not_available(self, client: cent.Client, name: str) -> None:
        assert code_of(client.presence, cent.PresenceRequest(channel=name)) == 108
        assert code_of(client.history, cent.HistoryRequest(channel=name)) == 108
        assert code_of(client.history_remove, cent.HistoryRemoveRequest(channel=name)) == 108

    def test_which_channels_there_are(self, client: cent.Client, ann: Peer, name: str) -> None:
        found = client.channels(cent.ChannelsRequest(pattern=f"*{name}")).channels
        assert {channel: info.num_clients for channel, info in found.items()} == {f"kept:{name}": 1}
        assert f"kept:{name}" in client.channels(cent.ChannelsRequest()).channels

    def test_which_processes_there_are(self, client: cent.Client, ann: Peer) -> None:
        # With Redis, a process says every few seconds that it is there, the first time in the background.
        wait_until(lambda: client.info(cent.InfoRequest()).nodes)
        (node,) = client.info(cent.InfoRequest()).nodes
        assert node.uid
        assert (node.name, node.version) == (f"{socket.gethostname()}:{os.getpid()}", __version__)


class TestBatches:
    def test_commands_are_carried_out_in_order(self, client: cent.Client, ann: Peer, name: str) -> None:
        commands = [cent.PublishRequest(channel=f"kept:{name}", data=number) for number in (1, 2)]
        replies = client.batch(cent.BatchRequest(requests=[*commands, cent.InfoRequest()])).replies
        assert [ann.push()["pub"]["data"] for _ in range(2)] == [1, 2]
        assert isinstance(replies[0], cent.PublishResult)
        assert isinstance(replies[2], cent.InfoResult)

    @pytest.mark.parametrize(
        ("command", "code"),
        [
            ({"publish": {"channel": "unknown:x", "data": 1}}, 102),
            ({"publish": {"channel": "x"}}, 107),
            ({"publish": []}, 107),
            ({"publish": {"channel": 1, "data": 1}}, 107),
            ({"publish": {"channel": "x", "data": 1, "tags": {"a": 1}}}, 107),
            ({"publish": {"channel": "x", "data": "\ud800"}}, 107),
            ({"broadcast": {"channels": ["x"] * 1001, "data": 1}}, 106),
            ({"broadcast": {"channels": [], "data": 1}}, 107),
            ({"history": {"channel": "x", "limit": True}}, 107),
            ({"history": {"channel": "x", "since": 1}}, 107),
            ({"batch": {"commands": []}}, 104),
            ({"connections": {}}, 108),
            ({"__init__": {}}, 104),
            ({}, 107),
            ([], 107),
        ],
        ids=lambda value: None if isinstance(value, int) else json.dumps(value)[:40],
    )
    def test_one_that_fails_says_so_and_the_others_go_on(self, url: str, command: Any, code: int) -> None:
        commands = [command, {"publish": {"channel": "x", "data": 1}}]
        replies = post(url, "batch", {"commands": commands}).json()["replies"]
        assert replies[0]["error"]["code"] == code
        assert replies[1] == {"publish": {}}


def post(url: str, method: str, body: Any, **headers: str) -> requests.Response:
    data = body if isinstance(body, (bytes, str)) else json.dumps(body)
    said = {"X-API-Key": KEY, **headers}
    return requests.post(f"{url}/{method}", data=data, headers=said, timeout=PATIENCE)


class TestRefusals:
    @pytest.mark.parametrize("key", ["", KEY[:-1], f"{KEY}x", KEY.upper(), "é"])
    def test_without_the_key_nothing_is_done(self, url: str, key: str) -> None:
        answer = requests.post(
            f"{url}/info", data="{}", headers={"X-API-Key": key.encode("latin-1")}, timeout=PATIENCE
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, 101)
        assert requests.post(f"{url}/info?api_key={KEY}", data="{}", timeout=PATIENCE).status_code == 401

    def test_its_client_says_so(self, url: str) -> None:
        with cent.Client(url, "wrong") as stranger, pytest.raises(cent.CentUnauthorizedError):
            stranger.info(cent.InfoRequest())

    @pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "DELETE"])
    def test_other_methods_of_http_are_refused(self, url: str, method: str) -> None:
        answer = requests.request(method, f"{url}/info", headers={"X-API-Key": KEY}, timeout=PATIENCE)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")

    @pytest.mark.parametrize("method", ["", "Publish", "publish/", "rpc", "_call"])
    def test_unknown_methods_are_not_found(self, url: str, method: str) -> None:
        answer = post(url, method, {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 104)

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"{} {}", b'{"a": NaN}', b"[" * 100_000])
    def test_a_body_that_is_not_json_is_refused(self, url: str, body: bytes) -> None:
        answer = post(url, "publish", body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 107)

    def test_a_body_that_is_no_object_is_refused(self, url: str) -> None:
        assert post(url, "publish", [1]).json()["error"]["code"] == 107

    def test_a_chunked_body_is_taken(self, url: str) -> None:
        body = iter([b'{"channel": "x", ', b'"data": 1}'])
        answer = requests.post(f"{url}/publish", data=body, headers={"X-API-Key": KEY}, timeout=PATIENCE)
        assert answer.json() == {"result": {}}


def call(environ: dict[str, Any], **options: Any) -> str:
    """Call the API without a server, and return the status."""
    statuses: list[str] = []
    application = api(PubSub(), key=[KEY, KEY[::-1]], **options)
    head = {"REQUEST_METHOD": "POST", "PATH_INFO": "/info", "HTTP_X_API_KEY": KEY[::-1]}
    application({**head, **environ}, lambda status, headers: statuses.append(status))
    return statuses[0]


class NotRead(io.BytesIO):
    def read(self, *sizes: Any) -> bytes:
        raise AssertionError("the body is read")


class TestWithoutAServer:
    def test_there_may_be_several_keys(self) -> None:
        assert call({"CONTENT_LENGTH": "2", "wsgi.input": io.BytesIO(b"{}")}) == "200 OK"

    @pytest.mark.parametrize(
        ("length", "status"),
        [("101", "413"), ("9" * 5000, "413"), ("", "411"), ("-1", "411"), ("+5", "411"), ("²", "411")],
    )
    def test_a_body_that_is_too_large_is_not_read(self, length: str, status: str) -> None:
        environ = {"CONTENT_LENGTH": length, "wsgi.input": NotRead()}
        assert call(environ, max_body_size=100).startswith(status)

    def test_strangers_are_not_listened_to(self) -> None:
        environ = {"CONTENT_LENGTH": "5", "wsgi.input": NotRead(), "HTTP_X_API_KEY": "x"}
        assert call(environ).startswith("401")

    @pytest.mark.parametrize("key", ["", "x" * 15, "é" * 16, "x" * 16 + "\n", [], [""]])
    def test_a_key_that_is_no_good_is_refused(self, key: Any) -> None:
        with pytest.raises(ValueError, match="key"):
            api(PubSub(), key=key)

    def test_what_a_process_says_of_itself(self) -> None:
        said = results.node(NodeInfo("1", "web", "host", 2, connections=3, uptime=4.9))
        assert said == {"uid": "1", "name": "web", "version": __version__, "num_clients": 3, "uptime": 4}

    @pytest.mark.parametrize("said", [None, "Ann", {"name": "Ann"}])
    def test_of_members_of_other_services_only_the_id_is_known(self, said: Any) -> None:
        assert results.client("7", said) == {"client": "7", "user": ""}

    def test_other_types_are_refused(self) -> None:
        with pytest.raises(TypeError, match="takes a PubSub"):
            api(KEY, key=KEY)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="not a bytes"):
            api(PubSub(), key=KEY.encode())  # type: ignore[arg-type]
