"""``CentrifugeService``: what users subclass, and what the server calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import monotonic
from typing import Any

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.clock import CONNECT_TIMEOUT, Clocks
from geventkws.centrifuge.commands import Commands
from geventkws.centrifuge.control import Control, listen
from geventkws.centrifuge.grants import Connected, Subscribed
from geventkws.centrifuge.lookups import Lookups
from geventkws.centrifuge.namespaces import Namespace, Namespaces
from geventkws.centrifuge.protocol.errors import ClientError, Disconnect, DisconnectCode, ErrorCode
from geventkws.centrifuge.protocol.replies import reply
from geventkws.centrifuge.protocol.requests import Command, ConnectRequest
from geventkws.centrifuge.protocol.session import SUBPROTOCOLS
from geventkws.centrifuge.subscribing import Subscribing
from geventkws.centrifuge.tokens import SubscriptionToken, TokenInvalid, Tokens
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.pubsub import BrokerUnavailable, PubSub
from geventkws.request import Request
from geventkws.service import WebSocketService
from geventkws.websocket.connection import WebSocketConnection

logger = logging.getLogger("geventkws.centrifuge")

NOT_FOR_OVERRIDING = {
    "connected": "connect(self, client, request, data)",
    "received": "message(self, client, data) or rpc(self, client, method, data)",
    "received_text": "message(self, client, data) or rpc(self, client, method, data)",
    "received_binary": "message(self, client, data) or rpc(self, client, method, data)",
    "disconnected": "client_disconnected(self, client, reason)",
    "run": "message(self, client, data) or rpc(self, client, method, data)",
}
"""The callbacks of other services, and what to define instead."""


class CentrifugeService(WebSocketService):
    """A service for clients of the Centrifuge protocol, on the channels of a ``PubSub``.

    Subclass it, and register an instance at a path. Its callbacks may block, as those of any service: only
    that client waits. One that raises ``ClientError`` refuses what the client has asked for, and one that
    raises ``Disconnect`` ends the connection; any other exception is logged, and the client gets error 100.

    ``secret`` is what the application signs the tokens of clients with; ``Tokens`` takes keys of other kinds.
    ``namespaces`` says what is kept of channels, and who may do what with them, by the part of their names
    before the first colon; ``""`` are the channels without one. ``recovery_limit`` is how many publications a
    client that returns may have missed, and ``channel_limit`` how many channels it may subscribe to. With
    ``binary``, what clients send to the application and get from it is ``bytes``, as only clients that speak
    Protobuf can do; otherwise, it is JSON: in callbacks, anything that JSON can express.
    """

    subprotocols = SUBPROTOCOLS
    max_message_size = 65536

    def __init__(
        self,
        pubsub: PubSub,
        *,
        secret: str | bytes | None = None,
        tokens: Tokens | None = None,
        namespaces: Mapping[str, Namespace] | None = None,
        recovery_limit: int = 300,
        channel_limit: int = 128,
        binary: bool = False,
    ) -> None:
        if not isinstance(pubsub, PubSub):
            raise TypeError(f"a CentrifugeService takes a PubSub, not {pubsub!r}")
        self.pubsub = pubsub
        if secret is not None and tokens is not None:
            raise TypeError("give the service either a secret or tokens, which have one")
        self._tokens = tokens if secret is None else Tokens(secret)
        self._is_binary = binary
        self._namespaces = Namespaces(namespaces)
        self._namespaces.configure(pubsub)
        subscribing = Subscribing(pubsub, self._namespaces, recovery_limit)
        lookups = Lookups(pubsub, self._namespaces)
        self._commands = Commands(self, pubsub, subscribing, lookups, channel_limit)
        self._clients: dict[WebSocketConnection, Client] = {}
        self._clocks = Clocks(self.refresh, pubsub)
        self._control = Control(self._commands)
        listen(pubsub)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for name, instead in NOT_FOR_OVERRIDING.items():
            if name in vars(cls):
                raise TypeError(f"{cls.__name__} defines {name}: define {instead} instead")

    # What users override

    def connect(self, client: Client, request: Request, data: Any) -> Connected:
        """Say who a client is, or raise ``Disconnect`` or ``ClientError``.

        ``request`` is the one that opened the connection, with the cookies of the application's own login,
        and ``client.token`` is what the client has brought. By default, whoever has a valid token may
        connect, and nobody else.
        """
        if self._tokens is None:
            raise Disconnect(DisconnectCode.PERMISSION_DENIED)
        token = self._tokens.connection(client.token)
        client.meta = token.meta
        channels = {channel: Subscribed(one.info, one.data) for channel, one in token.subs.items()}
        return Connected(token.user, token.info, None, channels, token.expires_at)

    def refresh(self, client: Client) -> float | None:
        """Say until when the connection of a client goes on, by ``time.time``, now that it expires.

        ``None`` is for ever. Called if the client comes with another ``client.token``, or if it has none.
        By default, another valid token lets it go on; without one, it ends with 3005.
        """
        if self._tokens is None or not client.token:
            raise Disconnect(DisconnectCode.EXPIRED)
        token = self._tokens.connection(client.token)
        if token.user != client.user:
            raise Disconnect(DisconnectCode.INVALID_TOKEN)
        return token.expires_at

    def subscribe(self, client: Client, channel: str, data: Any) -> Subscribed | None:
        """Let a client subscribe to a channel, or raise ``ClientError``.

        By default, whoever has a valid token for it, in ``client.token``, or may by the channel's namespace.
        """
        if client.token and self._tokens is not None:
            token = self._subscription_token(self._tokens, client, channel)
            return Subscribed(token.info, None, token.expires_at)
        self._namespaces.check_subscribe(channel, client.name)
        return None

    def refresh_subscription(self, client: Client, channel: str) -> float | None:
        """Say until when a subscription goes on, for which the client comes with another ``client.token``.

        By default, until that expires.
        """
        if self._tokens is None:
            raise ClientError(ErrorCode.NOT_AVAILABLE)
        return self._subscription_token(self._tokens, client, channel).expires_at

    def _subscription_token(self, tokens: Tokens, client: Client, channel: str) -> SubscriptionToken:
        try:
            return tokens.subscription(client.token, client.name, channel)
        except TokenInvalid as error:
            logger.info("a token for %r is not valid: %s", channel, error.problem)
            raise ClientError(ErrorCode.PERMISSION_DENIED) from None

    def publish(self, client: Client, channel: str, data: Any) -> None:
        """Let a client publish in a channel, or raise ``ClientError``.

        By default, whoever may by the channel's namespace.
        """
        self._namespaces.check_publish(channel, client.name, channel in client.channels)

    def rpc(self, client: Client, method: str, data: Any) -> Any:
        """Return what the client gets as the result of a call; by default, there are no methods."""
        raise ClientError(ErrorCode.NOT_AVAILABLE)

    def message(self, client: Client, data: Any) -> None:
        """Handle a message of a client, which gets no answer; by default, the connection ends with 3508."""
        raise Disconnect(DisconnectCode.NOT_AVAILABLE)

    def client_disconnected(self, client: Client, reason: WebSocketCloseReasonCode) -> None:
        """A client has left that ``connect`` had let in."""

    # What the server calls

    def connected(self, connection: WebSocketConnection) -> None:
        """Wait for the client's first command."""
        client = Client(connection, self.pubsub, self._is_binary, monotonic() + CONNECT_TIMEOUT)
        self._clients[connection] = client
        self._clocks.watch(client)

    def received(self, message: str | bytes, connection: WebSocketConnection) -> None:
        """Carry out the commands of a frame."""
        client = self._clients[connection]
        try:
            for command in client.commands(message):
                self._execute(client, command)
            client.flush()
        except Disconnect as disconnect:
            client.flush()
            connection.close(disconnect.code, disconnect.reason)

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        """Forget a client."""
        client = self._clients.pop(connection)
        self._clocks.forget(client)
        if client.user is not None:
            self.client_disconnected(client, reason)

    def _good_bye(self, reason: WebSocketCloseReasonCode, description: str) -> tuple[int, str]:
        shutdown = Disconnect(DisconnectCode.SHUTDOWN)
        return shutdown.code, shutdown.reason

    def _obey(self, connection: WebSocketConnection, details: dict[str, Any]) -> None:
        client = self._clients.get(connection)
        if client is not None and client.user is not None and details["client"] in (None, client.id):
            self._control.obey(client, details["do"], details["with"])

    def _execute(self, client: Client, command: Command) -> None:
        try:
            request = client.requested(command)
            if request is None:
                return  # a pong
            if client.user is None and not isinstance(request, ConnectRequest):
                raise Disconnect(DisconnectCode.BAD_REQUEST)
            self._commands.execute(client, command.id, request)
        except ClientError as error:
            client.reply(reply(command.id, error.error))
        except Disconnect:
            raise
        except BrokerUnavailable as error:
            logger.warning("a command of a client has failed: %s", error)
            client.reply(reply(command.id, ClientError(ErrorCode.INTERNAL).error))
        except Exception:
            logger.exception("%s failed; the client gets an error", type(self).__name__)
            client.reply(reply(command.id, ClientError(ErrorCode.INTERNAL).error))
