"""What all conversations of a server share: their limits, and what is done for them in rare cases."""

from __future__ import annotations

from typing import Any, Protocol

from geventkws.backend import use_compiled
from geventkws.options import ServerOptions
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.endpoint import Broadcast
from geventkws.protocol.messages import Event
from geventkws.websocket.meter import Meter


class Host(Protocol):
    """What connections need from the server they belong to."""

    options: ServerOptions

    def websocket_closed(self, connection: Any, reason: Code) -> None:
        """Forget a connection that is over."""


class Delegate:
    """What a conversation leaves to others, because it is rare; ``conversation`` is the one that asks.

    This is a base class, not a protocol, so that compiled code finds the limits without a look-up.
    """

    __slots__ = ("host", "max_inbox_messages", "max_inbox_size", "max_send_buffer")

    def __init__(self, host: Host) -> None:
        self.host = host
        self.max_inbox_messages = host.options.max_inbox_messages
        self.max_inbox_size = host.options.max_inbox_size
        self.max_send_buffer = host.options.max_send_buffer

    def handle(self, conversation: Any, event: Event) -> None:
        """Handle what the peer has sent other than messages. In the hub."""
        raise NotImplementedError

    def end_of_stream(self, conversation: Any) -> None:
        """Handle the end of the peer's stream; the peer may still read. In the hub."""
        raise NotImplementedError

    def lost(self, conversation: Any) -> None:
        """Give up the connection, which is lost."""
        raise NotImplementedError

    def closes_at_once(self, conversation: Any) -> bool:
        """Return whether the connection is closed when the output has left; only called like the next."""
        raise NotImplementedError

    def output_left(self, conversation: Any) -> None:
        """Go on after some or all of the output has left; only called if ``_watches_output``."""
        raise NotImplementedError

    def step(self, conversation: Any) -> None:
        """Do the next thing that a worker has to do besides ``received``, or clear ``_has_news``."""
        raise NotImplementedError

    def failed(self, conversation: Any, error: BaseException) -> None:
        """End the connection with 1011 after an exception in a callback."""
        raise NotImplementedError

    def read_on(self, conversation: Any) -> None:
        """Read again, since a full inbox has room, or the peer has waited long enough."""
        raise NotImplementedError

    def measure(self, conversation: Any, meter: Meter) -> None:
        """Count what has been received, and end the connection if that is too much. In the hub."""
        raise NotImplementedError

    def send_later(self, conversation: Any, opcode: int, payload: bytes, compress: bool | None) -> bool:
        """Send a message from another thread, or once there is room again."""
        raise NotImplementedError

    def broadcast_later(self, conversation: Any, message: Broadcast) -> bool:
        """Send a broadcast message from another thread, or end a connection that is over its limit."""
        raise NotImplementedError


use_compiled(__name__, globals())
