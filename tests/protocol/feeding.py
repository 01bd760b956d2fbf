"""Feeds bytes to a parser or an endpoint as does an event loop that limits its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geventkws.protocol.messages import Event


def frames_at_a_time(parser: Any, data: bytes, max_frames: int | Callable[[], int]) -> list[Event]:
    """Return the events in ``data``, fed again from where each call stopped, after ``max_frames`` frames.

    Bytes that were taken are then overwritten, as in a buffer that is reused.
    """
    feed = getattr(parser, "receive", None) or parser.feed
    buffer = bytearray(data)
    events: list[Event] = []
    position = 0
    while position < len(data):
        events += feed(memoryview(buffer)[position:], max_frames() if callable(max_frames) else max_frames)
        assert parser.taken > 0, "each call gets on"
        buffer[position : position + parser.taken] = b"\xff" * parser.taken
        position += parser.taken
    assert position == len(data)
    return events
