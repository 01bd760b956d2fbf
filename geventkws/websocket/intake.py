"""What is received on a WebSocket connection, on its way to the inbox.

``_c_intake.pyx`` is the compiled twin of this module: it parses in place, and receives the rest of a long
message directly into its final place.
"""

from __future__ import annotations

from geventkws.backend import use_compiled
from geventkws.loop.leaf import Buffer
from geventkws.net.transport import Transport
from geventkws.protocol.endpoint import Endpoint
from geventkws.protocol.messages import Event

UNWANTED = -2
"""What ``receive_rest`` returns if the shared buffer is the place to receive into."""


def storage(message: str | bytes) -> int:
    """Return the most bytes that a message may take: up to four for each character of a ``str``."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return 4 * len(message)


def parse(endpoint: Endpoint, buffer: Buffer, max_frames: int, events: list[Event]) -> None:
    """Add the events of up to ``max_frames`` frames in ``buffer`` to ``events``, and move its ``start``."""
    events += endpoint.receive(buffer.view(), max_frames)
    buffer.start += endpoint.taken


def wants_rest(endpoint: Endpoint, transport: Transport) -> bool:
    """Return whether ``receive_rest`` would receive the rest of a long message."""
    return False


def receive_rest(endpoint: Endpoint, transport: Transport, fd: int, events: list[Event]) -> int:
    """Receive the rest of a long message into its final place; add what that completes to ``events``.

    Returns what ``Buffer.receive`` does, or ``UNWANTED`` if nothing is received. Here nothing ever is,
    because Python cannot write into the memory of ``bytes``.
    """
    return UNWANTED


use_compiled(__name__, globals())
