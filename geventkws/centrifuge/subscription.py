"""A client that has subscribed to a channel."""

from __future__ import annotations

import logging

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.grants import Subscribed
from geventkws.centrifuge.namespaces import Namespace
from geventkws.centrifuge.protocol.errors import DisconnectCode, UnsubscribeCode
from geventkws.centrifuge.publications import ANNOUNCEMENTS, PUSHES, InappropriateData
from geventkws.protocol.endpoint import Broadcast
from geventkws.pubsub import Position, PresenceEvent, Publication
from geventkws.pubsub.subscriber import Encoded, Subscriber

MAX_EVENTS = 100
"""How many events of others who join or leave are kept until a client is told; further ones are dropped."""

logger = logging.getLogger("geventkws.centrifuge")


class ClientSubscriber(Subscriber):
    """Sends a channel's publications to a client, as the protocol wants it."""

    __slots__ = ("_client", "_events", "expires_at", "info")

    def __init__(self, client: Client, namespace: Namespace, granted: Subscribed) -> None:
        name = client.codec.name
        announce = ANNOUNCEMENTS[name] if namespace.join_leave else None
        super().__init__(client.connection, PUSHES[name], announce, namespace.presence)
        self._client = client
        self._events: list[PresenceEvent] | None = None
        self.info = granted.info
        """What others see of the client in this channel alone."""
        self.expires_at = granted.expires_at
        """When the subscription expires, by ``time.time``."""

    def take_event(self, event: PresenceEvent, encoded: Encoded) -> None:
        """Tell the client who has joined or left, itself too, after the reply to ``subscribe``."""
        assert self._announce is not None
        if self._held is None:
            self._send(self._announce, event, encoded)
            return
        if self._events is None:
            self._events = []
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)

    def go_live(self, missed: list[Publication], position: Position | None) -> Position | None:
        position = super().go_live(missed, position)
        events, self._events = self._events, None
        for event in events or ():
            self.take_event(event, {})
        return position

    def lose(self, channel: str) -> None:
        """Let the client subscribe again: it says up to where it has got everything."""
        self._client.unsubscribe(channel, UnsubscribeCode.INSUFFICIENT_STATE)

    def _give_up(self) -> None:
        self._client.give_up()

    def _deliver(self, broadcast: Broadcast) -> None:
        self._client.deliver(broadcast)

    def fail(self, error: BaseException) -> None:
        if not isinstance(error, InappropriateData):
            super().fail(error)
            return
        logger.error("%s: a client that cannot take it is disconnected", error)
        self._connection.drop(DisconnectCode.INAPPROPRIATE_PROTOCOL, "inappropriate protocol")
