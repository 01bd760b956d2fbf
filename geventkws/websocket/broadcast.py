"""One message to many connections."""

from __future__ import annotations

from collections.abc import Iterable

from geventkws.protocol.endpoint import Broadcast, Message
from geventkws.websocket.connection import WebSocketConnection


def broadcast(
    connections: Iterable[WebSocketConnection],
    message: Message,
    as_binary: bool | None = None,
    compress: bool | None = None,
) -> int:
    """Send ``message`` to all ``connections``, and return how many took it.

    The arguments and the errors are those of ``WebSocketConnection.send``. The message is encoded once, and
    compressed once for all connections that negotiated the same parameters. Never blocks: a connection for
    which ``max_send_buffer`` bytes are already waiting is ended with 1013, so that one slow reader neither
    delays the others nor makes the server keep everything for it. What native threads have sent or broadcast
    counts even before the hub has handled it.
    """
    encoded = Broadcast(message, as_binary, compress)
    taken = 0
    # A copy: sending may end a connection, whose service may then change the collection.
    receivers = list(connections)
    try:
        for connection in receivers:
            taken += connection._send_broadcast(encoded)
    except AttributeError:
        _check_receivers(receivers)
        raise
    return taken


def _check_receivers(receivers: Iterable[object]) -> None:
    for receiver in receivers:
        if not isinstance(receiver, WebSocketConnection):
            raise TypeError(
                f"broadcast takes connections, not {receiver!r}: of a dict of them, give its values()"
            )
