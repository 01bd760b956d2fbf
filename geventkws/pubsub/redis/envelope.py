"""How messages look on the bus and in a history: bytes, of which nothing is ever executed.

A message is ``p OFFSET EPOCH BODY``, without a position ``p 0 - BODY``, and its body ``T IDS`` or ``B IDS``,
a line feed and the payload: text or binary, and the connections that do not get it. News of somebody who has
joined or left is ``e 1 ID INFO`` or ``e 0 ID INFO``, with the info in JSON.
"""

from __future__ import annotations

import json
from typing import Any

from geventkws.pubsub.broker import Excluded
from geventkws.pubsub.values import Message, Position, PresenceEvent, Publication

NOBODY: Excluded = frozenset()


def body_of(message: Message, exclude: Excluded) -> bytes:
    """Return a message as it is kept in a history."""
    kind, payload = ("T", message.encode()) if isinstance(message, str) else ("B", message)
    return f"{kind} {','.join(exclude)}\n".encode() + payload


def position_from(offset: bytes, epoch: bytes) -> Position | None:
    """Return a position, if these words are one."""
    return None if offset == b"0" else Position(int(offset), epoch.decode())


def publication_from(channel: str, body: bytes, position: Position | None) -> tuple[Publication, Excluded]:
    """Return the publication with this body, and who does not get it."""
    head, _, payload = body.partition(b"\n")
    kind, _, ids = head.decode().partition(" ")
    exclude = frozenset(ids.split(",")) if ids else frozenset()
    message: Message = payload.decode() if kind == "T" else payload
    return Publication(message, channel, position), exclude


def from_bus(channel: str, data: bytes) -> tuple[Publication, Excluded] | PresenceEvent:
    """Return what a message on the bus says."""
    kind, first, second, rest = data.split(b" ", 3)
    if kind == b"p":
        return publication_from(channel, rest, position_from(first, second))
    info: Any = json.loads(rest)
    return PresenceEvent(channel, second.decode(), info, first == b"1")
