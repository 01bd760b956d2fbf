"""One message to many connections."""

from __future__ import annotations

from collections.abc import Iterable

from geventkws.connection import Message, WebSocketConnection, encode_message
from geventkws.protocol.frames import encode_frame


def broadcast(
    connections: Iterable[WebSocketConnection], message: Message, as_binary: bool | None = None
) -> int:
    """Send ``message`` to all ``connections``, encoded once, and return how many took it.

    ``message`` and ``as_binary`` are those of ``WebSocketConnection.send``, as are the errors. Never
    blocks: a connection for which ``max_send_buffer`` bytes wait already is ended with 1013, so that
    one slow reader neither delays the others nor makes the server keep everything for it.
    """
    opcode, payload = encode_message(message, as_binary)
    frame = encode_frame(opcode, payload)
    # A list of its own: sending may end a connection, and services then change what they iterate over.
    return sum(connection.send_encoded(frame) for connection in list(connections))
