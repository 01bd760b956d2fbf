"""A client that has subscribed to a channel."""

from __future__ import annotations

import logging
from typing import Any

from geventkws.centrifuge.client import Client
from geventkws.centrifuge.protocol.errors import DisconnectCode, UnsubscribeCode
from geventkws.centrifuge.publications import InappropriateData
from geventkws.protocol.endpoint import Broadcast
from geventkws.pubsub import Position, PresenceEvent, Publication
from geventkws.pubsub.subscriber import Encoded, Subscriber, Wishes

MAX_EVENTS = 100
"""How many events of others who join or leave are kept until a client is told; further ones are dropped."""

logger = logging.getLogger("geventkws.centrifuge")


class ClientSubscriber(Subscriber):
    """Sends a channel's publications to a client, as the protocol wants it."""

    __slots__ = ("_client", "_events", "by_server", "expires_at", "info")

    def __init__(self, client: Client, wishes: Wishes, info: dict[str, Any], by_server: bool) -> None:
        super().__init__(client.connection, wishes)
        self._client = client
        self._events: list[PresenceEvent] = []
        self.info = info
        """Who the client is, as channels keep it."""
        self.by_server = by_server
        """Whether the server has subscribed the client."""
        self.expires_at: float | None = None
        """When the subscription expires, by ``time.time``."""

    def take_event(self, event: PresenceEvent, encoded: Encoded) -> None:
        """Tell the client who has joined or left, itself too, after the reply to ``subscribe``."""
        if self.wishes.announce is None:
            return
        if self._held is None:
            self._send(self.wishes.announce, event, encoded)
        elif len(self._events) < MAX_EVENTS:
            self._events.append(event)

    def go_live(self, missed: list[Publication], position: Position | None) -> Position | None:
        position = super().go_live(missed, position)
        events, self._events = self._events, []
        for event in events:
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
