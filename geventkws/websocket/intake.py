"""What is received on a WebSocket connection, on its way to the inbox.

``_c_intake.pyx`` is the compiled twin of this module: it parses in place, and receives the rest of a long
message where it is to stay.
"""

from __future__ import annotations

from geventkws.backend import use_compiled
from geventkws.loop.leaf import Buffer
from geventkws.net.transport import Transport
from geventkws.protocol.endpoint import Endpoint
from geventkws.protocol.messages import Event

UNWANTED = -2
"""What ``receive_rest`` returns where the shared buffer is the place to receive into."""


def storage(message: str | bytes) -> int:
    """Return the bytes that a message takes at most: for each character of a ``str``, up to four."""
    if isinstance(message, bytes) or message.isascii():
        return len(message)
    return 4 * len(message)


def parse(endpoint: Endpoint, buffer: Buffer, max_frames: int) -> list[Event]:
    """Return the events that up to ``max_frames`` frames in ``buffer`` complete, and move its ``start``."""
    events = endpoint.receive(buffer.view(), max_frames)
    buffer.start += endpoint.taken
    return events


def wants_rest(endpoint: Endpoint, transport: Transport) -> bool:
    """Return whether ``receive_rest`` would receive the rest of a long message."""
    return False


def receive_rest(endpoint: Endpoint, transport: Transport, fd: int, events: list[Event]) -> int:
    """Receive the rest of a long message where it is to stay; add to ``events`` what that completes.

    Returns as ``Buffer.receive`` does, and ``UNWANTED`` where nothing is received. The memory of ``bytes``
    cannot be written in Python, so here nothing ever is.
    """
    return UNWANTED


use_compiled(__name__, globals())
