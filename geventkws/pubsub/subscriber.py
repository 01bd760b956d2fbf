"""A connection that has subscribed to a channel."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.endpoint import Broadcast
from geventkws.pubsub.broker import Excluded
from geventkws.pubsub.values import Message, Position, PresenceEvent, Publication, size_of
from geventkws.websocket.connection import WebSocketConnection

logger = logging.getLogger("geventkws.pubsub")

Transform = Callable[[Publication], Message | None]
Announce = Callable[[PresenceEvent], Message | None]
Encoded = dict[Hashable, Broadcast | None]
"""What has been encoded of one publication: by transform, ``None`` for the message as it is."""


def as_it_is(publication: Publication) -> Message:
    """Return what is sent without a ``transform``."""
    return publication.message


class Subscriber:
    """Sends a channel's publications to a connection. All in the thread of the connection's hub.

    At first, publications are held back: those that were published before must go out first.
    """

    __slots__ = ("_announce", "_connection", "_held", "_held_size", "_render", "_until", "is_present")

    def __init__(
        self,
        connection: WebSocketConnection,
        transform: Transform | None,
        announce: Announce | None,
        is_present: bool,
    ) -> None:
        self.is_present = is_present
        """Whether others are to see it there."""
        self._render = transform or as_it_is
        self._announce = announce
        self._connection = connection
        self._held: deque[tuple[Publication, Excluded]] | None = deque()
        self._held_size = 0
        self._until: Position | None = None

    def take(self, publication: Publication, exclude: Excluded, encoded: Encoded) -> None:
        """Send a publication, without waiting: a connection that is too slow ends with 1013."""
        if self._held is not None:
            self._hold(publication, exclude)
        elif self._until is not None and self._has(publication):
            pass
        elif not exclude or self._connection.id not in exclude:
            broadcast = encoded.get(self._render)
            if broadcast is not None:
                self._deliver(broadcast)
            else:
                self._send(self._render, publication, encoded)

    def _has(self, publication: Publication) -> bool:
        """Return whether the connection has got a publication from the history, before it came by the bus."""
        if _is_old(publication, self._until):
            return True
        if publication.position is not None:  # those without one may come before old ones
            self._until = None
        return False

    def _hold(self, publication: Publication, exclude: Excluded) -> None:
        assert self._held is not None
        self._held.append((publication, exclude))
        self._held_size += size_of(publication)
        if self._held_size > self._connection._lifecycle.max_send_buffer:
            self._held.clear()
            self._give_up()

    def _give_up(self) -> None:
        """End a connection that reads too slowly."""
        self._connection.drop(Code.TRY_AGAIN_LATER, "The peer reads too slowly")

    def go_live(self, missed: list[Publication], position: Position | None) -> Position | None:
        """Send what was missed, up to ``position``, then what was held back; from then on, what comes.

        Waits while the connection has no room. Returns the position of the last publication.
        """
        for publication in missed:
            self._replay(publication)
        while self._has_room() and self._held:
            publication, exclude = self._held.popleft()
            self._held_size -= size_of(publication)
            if _follows(publication, position):
                position = publication.position or position
                if self._connection.id not in exclude:
                    self._replay(publication)
        self._held = None
        self._until = position
        return position

    def _replay(self, publication: Publication) -> None:
        try:
            message = self._render(publication)
            if message is not None:
                self._connection.send(message)
        except Exception as error:
            self.fail(error)

    def _has_room(self) -> bool:
        """Wait until a publication may be sent at once; return ``False`` if the connection has ended."""
        connection = self._connection
        if connection._endpoint.output_size < connection._lifecycle.max_send_buffer:
            return connection.active
        return connection._lifecycle.senders(connection).wait_for_room()

    @property
    def is_watching(self) -> bool:
        """Whether the connection wants to know who joins and leaves."""
        return self._announce is not None

    def take_event(self, event: PresenceEvent, encoded: Encoded) -> None:
        """Send word that somebody else has joined or left, to a connection that is watching."""
        assert self._announce is not None
        if event.id != self._connection.id:
            self._send(self._announce, event, encoded)

    def lose(self, channel: str) -> None:
        """End the connection: its client comes back with its position, and is told that this is lost."""
        self._connection.drop(Code.TRY_AGAIN_LATER, "Messages have been lost: subscribe again")

    def _send(self, render: Callable[[Any], Message | None], subject: object, encoded: Encoded) -> None:
        """Send what ``render`` makes of a publication or an event: it is asked once for all connections."""
        if render not in encoded:
            try:
                message = render(subject)
                encoded[render] = None if message is None else Broadcast(message)
            except Exception as error:
                self.fail(error)
                return
        broadcast = encoded[render]
        if broadcast is not None:
            self._deliver(broadcast)

    def _deliver(self, broadcast: Broadcast) -> None:
        self._connection._send_broadcast(broadcast)

    def fail(self, error: BaseException) -> None:
        """End the connection: its client cannot be sent what it should be."""
        logger.error("a message cannot be made of what was published", exc_info=error)
        self._connection.drop(Code.SERVER_ERROR)


def _follows(publication: Publication, top: Position | None) -> bool:
    """Return whether a publication that came before the history's answer belongs behind its ``top``.

    One of another epoch is lost: Redis had forgotten it when it answered.
    """
    position = publication.position
    if top is None or position is None:
        return True
    return position.epoch == top.epoch and position.offset > top.offset


def _is_old(publication: Publication, position: Position | None) -> bool:
    """Return whether a publication is one of those up to ``position``."""
    if position is None or publication.position is None:
        return False
    return publication.position.epoch == position.epoch and publication.position.offset <= position.offset
