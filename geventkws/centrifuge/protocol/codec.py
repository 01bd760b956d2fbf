"""What both formats can do: commands from a frame, and a frame from replies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from geventkws.centrifuge.protocol.replies import Reply
from geventkws.centrifuge.protocol.requests import Command

Frame = str | bytes
"""The payload of a WebSocket message: text or binary."""


class Codec(Protocol):
    """One of the two formats."""

    name: str
    """``json`` or ``protobuf``."""

    def decode(self, frame: Frame) -> list[Command]:
        """Return the commands in a frame, one at least. Raises ``ValueError`` if it is malformed."""

    def encode(self, replies: Iterable[Reply]) -> Frame:
        """Return the frame with these replies."""

    def is_data(self, data: bytes) -> bool:
        """Return whether clients of this format can be sent these data."""
