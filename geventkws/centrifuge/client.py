"""A client of the service, as its callbacks know it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

from geventkws.centrifuge.protocol.codec import Codec
from geventkws.centrifuge.protocol.errors import Disconnect, DisconnectCode, UnsubscribeCode, unsubscribe
from geventkws.centrifuge.protocol.json_codec import dump, load
from geventkws.centrifuge.protocol.replies import Message, Push, Reply
from geventkws.centrifuge.protocol.requests import Command
from geventkws.centrifuge.protocol.session import JSON, PROTOBUF, Session, codec_for
from geventkws.protocol.endpoint import Broadcast
from geventkws.pubsub import PubSub
from geventkws.request import Request
from geventkws.websocket.connection import WebSocketConnection

NATIVE_PINGS = "cf_ws_frame_ping_pong"
"""The parameter of the query by which a client asks for pings of WebSocket instead of the protocol's."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

PINGS = {codec.name: Broadcast(codec.encode((Reply(),))) for codec in (JSON, PROTOBUF)}


class Client:
    """One connection of a user. Made by the service; its methods may be called in any greenlet.

    ``send``, ``disconnect`` and ``unsubscribe`` may also be called in any native thread.
    """

    __slots__ = (
        "__weakref__",
        "_pubsub",
        "_replies",
        "_session",
        "connection",
        "due",
        "expires_at",
        "has_expiries",
        "has_token",
        "info",
        "is_binary",
        "meta",
        "ping_at",
        "pinged_at",
        "token",
        "user",
    )

    def __init__(self, connection: WebSocketConnection, pubsub: PubSub, is_binary: bool, due: float) -> None:
        self.connection = connection
        """The WebSocket connection."""
        self.user: str | None = None
        """Who has connected; ``""`` for somebody without a name, ``None`` before ``connect`` has returned."""
        self.token = ""
        """The token of the command that is being handled; ``""`` if it has none."""
        self.meta: Mapping[str, Any] = NOTHING
        """What the token that the client has connected with tells the application alone."""
        self.info: Any = None
        """What others see of the client."""
        self.is_binary = is_binary
        """Whether data are bytes, and not JSON."""
        self.has_token = False
        """Whether the client has connected with a token, and gets a new one itself when that expires."""
        self.expires_at: float | None = None
        """When the connection expires, by ``time.time``."""
        self.has_expiries = False
        """Whether the connection or a subscription may expire."""
        self.due = due
        """When to look at the client, by ``time.monotonic``."""
        self.ping_at = due
        """When to send the next ping, by ``time.monotonic``."""
        self.pinged_at: float | None = None
        """When a ping was sent that nothing has followed yet, by ``time.monotonic``."""
        self._pubsub = pubsub
        self._session = Session(codec_for(connection.subprotocol, connection.request.query))
        self._replies: list[Reply] | None = None

    @property
    def id(self) -> str:
        """A string that no other client has."""
        return self.connection.id

    @property
    def name(self) -> str:
        """The user, ``""`` for somebody without a name."""
        return self.user or ""

    @property
    def request(self) -> Request:
        """The request that opened the connection: headers, cookies, address."""
        return self.connection.request

    @property
    def context(self) -> SimpleNamespace:
        """A namespace for the application's own data about this client."""
        return self.connection.context

    @property
    def channels(self) -> list[str]:
        """The channels that the client has subscribed to. In the thread of the server."""
        return list(self._pubsub._channels(self.connection))

    @property
    def codec(self) -> Codec:
        """The format that the client speaks."""
        return self._session.codec

    @property
    def has_native_pings(self) -> bool:
        """Whether the client wants pings of WebSocket."""
        return self.request.query.get(NATIVE_PINGS) == "true"

    def __repr__(self) -> str:
        return f"<Client {self.id} of {self.user!r}>"

    def send(self, data: Any) -> bool:
        """Send a message to this client alone: anything that JSON can express, or ``bytes`` if it is binary.

        Returns ``False`` if the connection is no longer open. Waits, as ``WebSocketConnection.send`` does,
        for a client that reads too slowly.
        """
        push = Push(message=Message(self.encoded(data)))
        return self.connection.send(self.codec.encode((Reply(push=push),)))

    def disconnect(self, code: int = DisconnectCode.FORCE_NO_RECONNECT, reason: str | None = None) -> None:
        """Close the connection; ``code`` and ``reason`` are those of ``Disconnect``."""
        disconnect = Disconnect(code, reason)
        self.connection.close(disconnect.code, disconnect.reason)

    def unsubscribe(
        self, channel: str, code: int = UnsubscribeCode.SERVER, reason: str | None = None
    ) -> None:
        """End a subscription, and tell the client; from code 2500 on, it subscribes again."""
        said = unsubscribe(code, reason)
        self._pubsub.unsubscribe(self.connection, channel)
        self.say(Reply(push=Push(channel, unsubscribe=said)))

    def say(self, reply: Reply) -> None:
        """Send something without waiting: a client that reads too slowly ends with 3008."""
        self.deliver(Broadcast(self.codec.encode((reply,))))

    def deliver(self, broadcast: Broadcast) -> None:
        """Send an encoded message without waiting, too."""
        connection = self.connection
        if connection._endpoint.output_size >= connection._lifecycle.max_send_buffer:
            connection._channel.flush()
            if connection._endpoint.output_size >= connection._lifecycle.max_send_buffer:
                self.give_up()
                return
        connection._send_broadcast(broadcast)

    def give_up(self) -> None:
        """End a connection that reads too slowly."""
        self.connection.drop(DisconnectCode.SLOW, "slow")

    # The life of the connection

    def admit(self, user: str, expires_at: float | None, ping_at: float) -> None:
        """Let the client in."""
        self.user = user
        if user:
            self._pubsub.identify(self.connection, user)
        self.ping_at = self.due = ping_at
        self.go_on(expires_at)

    def go_on(self, expires_at: float | None) -> None:
        """Let the connection go on until then, by ``time.time``; ``None`` is for ever."""
        self.expires_at = expires_at
        if expires_at is not None:
            self.has_expiries = True
            self.due = 0.0

    # What applications send

    def decoded(self, data: bytes) -> Any:
        """Return what was received, as callbacks get it; raise ``ValueError`` if it is not JSON."""
        if self.is_binary or not data:
            return data if self.is_binary else None
        return load(data)

    def encoded(self, data: Any) -> bytes:
        """Return what a callback has given, as it is sent; raise ``TypeError`` if that cannot be."""
        if self.is_binary:
            if not isinstance(data, (bytes, type(None))):
                raise TypeError(f"the data of a binary service must be bytes, not {data!r}")
            return data or b""
        return b"" if data is None else dump(data)

    # Commands and replies, in the greenlet that handles what was received

    def commands(self, frame: str | bytes) -> Iterable[Command]:
        """Return the commands of a frame; raise ``Disconnect`` if it is malformed."""
        return self._session.commands(frame)

    def requested(self, command: Command) -> Any:
        """Return what a command asks for; raise what ``Session.request`` raises."""
        return self._session.request(command)

    def reply(self, reply: Reply) -> None:
        """Let a reply be sent with those of the same frame."""
        if self._replies is None:
            self._replies = []
        self._replies.append(reply)

    def flush(self) -> None:
        """Send the replies that wait, in one frame."""
        if self._replies:
            replies, self._replies = self._replies, None
            self.connection.send(self.codec.encode(replies))

    # Signs of life, in the hub's thread

    def ping(self, now: float) -> None:
        """Send a ping, unless so much output waits that the client reads nothing now."""
        if self.connection._endpoint.output_size >= self.connection._lifecycle.max_send_buffer:
            return
        self.pinged_at = now
        if self.has_native_pings:
            self.connection.ping()
        else:
            self.connection._send_broadcast(PINGS[self.codec.name])

    @property
    def has_answered(self) -> bool:
        """Whether something has come since the last ping, or could not come because nothing is read."""
        connection = self.connection
        return (
            self.pinged_at is None
            or connection._heard_at > self.pinged_at
            or connection._channel.paused_at is not None
            or connection._rest is not None
        )
