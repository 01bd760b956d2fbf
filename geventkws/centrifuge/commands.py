"""What clients ask for, carried out."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.clock import PING_INTERVAL
from geventkws.centrifuge.grants import Connected, Subscribed
from geventkws.centrifuge.lookups import Lookups
from geventkws.centrifuge.namespaces import check_name
from geventkws.centrifuge.protocol import replies, requests
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect, DisconnectCode, ErrorCode
from geventkws.centrifuge.protocol.replies import Push, Reply, reply
from geventkws.centrifuge.publications import packed
from geventkws.centrifuge.subscribing import NO_REQUEST, Begun, Subscribing, remaining
from geventkws.centrifuge.subscription import ClientSubscriber
from geventkws.pubsub import PubSub
from geventkws.request import Request
from geventkws.version import __version__

VERSION = f"geventkws {__version__}"
"""What clients are told of the server."""


class Callbacks(Protocol):
    """What the service decides."""

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        """Say who a client is."""

    def refresh(self, client: Client) -> float | None:
        """Say until when a connection goes on."""

    def subscribe(self, client: Client, channel: str, data: Any) -> Subscribed | None:
        """Let a client subscribe."""

    def refresh_subscription(self, client: Client, channel: str) -> float | None:
        """Say until when a subscription goes on."""

    def publish(self, client: Client, channel: str, data: Any) -> None:
        """Let a client publish."""

    def rpc(self, client: Client, method: str, data: Any) -> Any:
        """Return the result of a call."""

    def message(self, client: Client, data: Any) -> None:
        """Handle a message."""


class Commands:
    """Carries out what clients ask for."""

    def __init__(
        self,
        service: Callbacks,
        pubsub: PubSub,
        subscribing: Subscribing,
        lookups: Lookups,
        channel_limit: int,
    ) -> None:
        self._service = service
        self._pubsub = pubsub
        self._subscribing = subscribing
        self._channel_limit = channel_limit
        self._handlers: dict[type, Callable[[Client, Any], object]] = {
            requests.UnsubscribeRequest: self._unsubscribe,
            requests.PublishRequest: self._publish,
            requests.PresenceRequest: lookups.presence,
            requests.PresenceStatsRequest: lookups.presence_stats,
            requests.HistoryRequest: lookups.history,
            requests.PingRequest: lambda client, request: replies.PingResult(),
            requests.SendRequest: self._send,
            requests.RPCRequest: self._rpc,
            requests.RefreshRequest: self._refresh,
            requests.SubRefreshRequest: self._sub_refresh,
        }

    def execute(self, client: Client, number: int, request: requests.Request) -> None:
        """Do what is asked for, and reply to the command with this number.

        Raises ``ClientError`` or ``Disconnect`` for what is refused.
        """
        client.token = getattr(request, "token", "")
        try:
            if isinstance(request, requests.ConnectRequest):
                self._connect(client, number, request)
            elif isinstance(request, requests.SubscribeRequest):
                self._subscribe(client, number, request)
            else:
                result = self._handlers[type(request)](client, request)
                if result is not None:
                    client.reply(reply(number, result))
        finally:
            client.token = ""

    # The connection

    def _connect(self, client: Client, number: int, request: requests.ConnectRequest) -> None:
        granted = self._service.connect(client, client.request, _decoded(client, request.data))
        if not isinstance(granted, Connected):
            raise TypeError(f"connect must return Connected(user), or raise Disconnect, not {granted!r}")
        subscriptions = granted.subscriptions
        if len(subscriptions) > self._channel_limit:
            raise Disconnect(DisconnectCode.CHANNEL_LIMIT)
        client.info, client.has_token = granted.info, bool(request.token)
        begun: dict[str, Begun] = {}
        try:
            for channel, subscribed in subscriptions.items():
                position = request.subs.get(channel, NO_REQUEST)
                begun[channel] = self._subscribing.begin(client, granted.user, channel, subscribed, position)
            self._welcome(client, number, granted, begun)
        except BaseException:
            for channel in begun:
                self._pubsub.unsubscribe(client.connection, channel)
            raise

    def _welcome(self, client: Client, number: int, granted: Connected, begun: dict[str, Begun]) -> None:
        expires, ttl = remaining(granted.expires_at) if client.has_token else (False, 0)
        is_native = client.has_native_pings
        result = replies.ConnectResult(
            client=client.id,
            version=VERSION,
            expires=expires,
            ttl=ttl,
            data=client.encoded(granted.data),
            subs={channel: one.result for channel, one in begun.items()},
            ping=0 if is_native else PING_INTERVAL,
            pong=not is_native,
        )
        client.admit(granted.user, granted.expires_at, monotonic() + PING_INTERVAL)
        client.reply(reply(number, result))
        client.flush()
        for one in begun.values():
            one.go_live()

    def _refresh(self, client: Client, request: requests.RefreshRequest) -> replies.RefreshResult:
        expires_at = self._service.refresh(client)
        client.go_on(expires_at)
        expires, ttl = remaining(expires_at)
        return replies.RefreshResult(client.id, VERSION, expires, ttl)

    def _send(self, client: Client, request: requests.SendRequest) -> None:
        self._service.message(client, _decoded(client, request.data))

    def _rpc(self, client: Client, request: requests.RPCRequest) -> replies.RPCResult:
        result = self._service.rpc(client, request.method, _decoded(client, request.data))
        return replies.RPCResult(client.encoded(result))

    # Subscriptions

    def _subscribe(self, client: Client, number: int, request: requests.SubscribeRequest) -> None:
        check_name(request.channel)
        if request.type:
            raise ClientError(ErrorCode.NOT_AVAILABLE)  # a map or a poll
        self._check_room(client, request.channel)
        granted = self._service.subscribe(client, request.channel, _decoded(client, request.data))
        if not isinstance(granted, (Subscribed, type(None))):
            raise TypeError(f"subscribe must return Subscribed(...) or None, not {granted!r}")
        begun = self._subscribing.begin(
            client, client.name, request.channel, granted or Subscribed(), request
        )
        client.reply(reply(number, begun.result))
        client.flush()
        begun.go_live()

    def _check_room(self, client: Client, channel: str) -> None:
        channels = self._pubsub._channels(client.connection)
        if channel in channels:
            raise ClientError(ErrorCode.ALREADY_SUBSCRIBED)
        if len(channels) >= self._channel_limit:
            raise ClientError(ErrorCode.LIMIT_EXCEEDED)

    def subscribe_by_server(self, client: Client, channel: str, granted: Subscribed) -> None:
        """Subscribe a client that has not asked for it, unless it is there."""
        if channel in client.channels:
            return
        self._check_room(client, channel)
        begun = self._subscribing.begin(client, client.name, channel, granted)
        result = begun.result
        said = replies.Subscribe(
            result.recoverable, result.epoch, result.offset, result.positioned, result.data
        )
        client.say(Reply(push=Push(channel, subscribe=said)))
        begun.go_live()

    def _unsubscribe(self, client: Client, request: requests.UnsubscribeRequest) -> replies.UnsubscribeResult:
        check_name(request.channel)
        self._pubsub.unsubscribe(client.connection, request.channel)
        return replies.UnsubscribeResult()

    def _sub_refresh(self, client: Client, request: requests.SubRefreshRequest) -> replies.SubRefreshResult:
        if request.type:
            raise ClientError(ErrorCode.NOT_AVAILABLE)  # a poll
        subscriber = self._pubsub._subscriber(client.connection, request.channel)
        if not isinstance(subscriber, ClientSubscriber):
            raise ClientError(ErrorCode.PERMISSION_DENIED)
        subscriber.expires_at = self._service.refresh_subscription(client, request.channel)
        client.has_expiries = True
        return replies.SubRefreshResult(*remaining(subscriber.expires_at))

    def _publish(self, client: Client, request: requests.PublishRequest) -> replies.PublishResult:
        check_name(request.channel)
        if request.type:
            raise ClientError(ErrorCode.NOT_AVAILABLE)  # a map
        if not request.data:
            raise ClientError(ErrorCode.BAD_REQUEST)
        self._service.publish(client, request.channel, _decoded(client, request.data))
        message = packed(request.data, self._subscribing.info_of(client, request.channel))
        self._pubsub.publish(request.channel, message)
        return replies.PublishResult()


def _decoded(client: Client, data: bytes) -> Any:
    try:
        return client.decoded(data)
    except ValueError:
        raise ClientError(ErrorCode.BAD_REQUEST) from None
