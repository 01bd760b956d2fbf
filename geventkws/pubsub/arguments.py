"""Checks the arguments of ``PubSub``'s methods; an error says what to pass instead."""

from __future__ import annotations

import json
from collections.abc import Iterable

from geventkws.pubsub.broker import Excluded
from geventkws.pubsub.values import Position
from geventkws.websocket.connection import WebSocketConnection


def check_message(message: object, max_size: int) -> None:
    """Raise ``TypeError`` for what is no message, ``ValueError`` for one of more than ``max_size`` bytes."""
    if not isinstance(message, (str, bytes)):
        raise TypeError(f"a message must be str or bytes, not {message!r}")
    size = len(message if isinstance(message, bytes) else message.encode())
    if size > max_size:
        raise ValueError(f"a message of {size} bytes is too large to publish: max_message_size is {max_size}")


def check_key(key: object) -> None:
    """Raise ``TypeError`` for anything but the key of a publication or ``None``."""
    if not isinstance(key, (str, type(None))):
        raise TypeError(f"the key of a publication is a str, not {key!r}")


def check_since(since: object) -> None:
    """Raise ``TypeError`` for anything but a position or ``None``."""
    if not isinstance(since, (Position, type(None))):
        raise TypeError(f"since must be a Position or None, not {since!r}")


def check_user(user: object) -> None:
    """Raise ``TypeError`` for anything but the name of a user."""
    if not isinstance(user, str):
        raise TypeError(f"a user is identified by a str, not {user!r}")


def check_json(value: object, what: str) -> str:
    """Return it in JSON; raise ``TypeError`` for what JSON cannot express, in memory too."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} must be something that JSON can express: {error}") from None


def excluded_ids(exclude: WebSocketConnection | Iterable[WebSocketConnection] | None) -> Excluded:
    """Return the ids of the connections that are not sent a message: none, one or several."""
    if exclude is None:
        return frozenset()
    if isinstance(exclude, WebSocketConnection):
        return frozenset((exclude.id,))
    return frozenset(connection.id for connection in exclude)
