"""What a client costs: its memory, and that a publication is encoded once for all."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from geventkws import ServiceRegistry, WebSocketConnection, WebSocketService
from geventkws.centrifuge import Namespace
from geventkws.centrifuge.protocol.codec import Frame
from geventkws.centrifuge.protocol.json_codec import JSONCodec
from geventkws.centrifuge.protocol.protobuf_codec import ProtobufCodec
from geventkws.centrifuge.protocol.replies import Reply
from geventkws.pubsub import PubSub
from geventkws.testing.client import Client
from geventkws.testing.portless import PortlessServer
from tests.centrifuge.peers import PATH, Open
from tests.waiting import PATIENCE

OPEN = Namespace(may_subscribe="everyone")
KEPT = Namespace(may_subscribe="everyone", presence=True, history_size=10, recover=True)

ENTERING: dict[str, str | bytes] = {
    "json": '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}',
    "protobuf": b"\x04\x08\x01\x22\x00\x0a\x08\x02\x2a\x06\x0a\x04news",
}
"""The frame with which a client of a format connects and subscribes; there are two replies."""

CLIENTS = 140

BESIDE_THE_WEBSOCKET = 1577
"""Bytes: with the 1.46 KiB of an idle WebSocket, 3 KiB."""

Connect = Callable[[str], Client]


class Silent(WebSocketService):
    """A service that does nothing."""

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Do nothing."""


@contextmanager
def serving(service: WebSocketService) -> Iterator[Connect]:
    """Serve within the ``with`` block; yields a function that connects a client of a format."""
    services = ServiceRegistry()
    services.register(service, on_path=PATH)
    server = PortlessServer(None, services)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop, timeout=PATIENCE)
        yield lambda codec: stack.enter_context(
            Client(server.pair(), f"ws://localhost{PATH}?cf_protocol={codec}")
        )


def subscribed(connect: Connect, codec: str) -> Client:
    """Return a client that has subscribed to the channel ``news``."""
    client = connect(codec)
    client.send(ENTERING[codec])
    for _ in range(2):
        client.receive()
    return client


def bytes_kept(make: Callable[[], Client]) -> float:
    """Return how many bytes are kept for each connection, on both sides."""
    for _ in range(20):  # what is made once
        make()
    tracemalloc.start()
    try:
        for _ in range(CLIENTS):
            make()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / CLIENTS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", ENTERING)
@pytest.mark.parametrize("namespace", [OPEN, KEPT], ids=["open", "kept"])
def test_a_client_with_a_channel_takes_little_more_memory_than_a_websocket(
    codec: str, namespace: Namespace
) -> None:
    with serving(Silent()) as connect:
        bare = bytes_kept(lambda: connect(codec))
    with serving(Open(PubSub(), namespaces={"": namespace})) as connect:
        whole = bytes_kept(lambda: subscribed(connect, codec))
    assert whole - bare < BESIDE_THE_WEBSOCKET


def test_a_publication_is_encoded_once_for_all_clients_of_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: Counter[str] = Counter()
    for codec in (JSONCodec, ProtobufCodec):

        def noted(self: Any, replies: Iterable[Reply], encode: Any = codec.encode) -> Frame:
            frame: Frame = encode(self, replies)
            encoded[self.name] += b"once" in (frame.encode() if isinstance(frame, str) else frame)
            return frame

        monkeypatch.setattr(codec, "encode", noted)
    pubsub = PubSub()
    with serving(Open(pubsub, namespaces={"": OPEN})) as connect:
        clients = [subscribed(connect, codec) for codec in ENTERING for _ in range(3)]
        pubsub.publish("news", '"once"')
        frames = {client.receive() for client in clients}
    assert len(frames) == 2
    assert encoded == {"json": 1, "protobuf": 1}
