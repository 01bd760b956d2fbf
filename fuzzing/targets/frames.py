"""Frames: both backends make the same of the same bytes, however many frames are taken at once."""

from __future__ import annotations

from typing import Any

from fuzzing.inputs import Input, cut
from geventkws.protocol.deflate import Deflate
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.frames import UNLIMITED
from geventkws.protocol.messages import Ping
from tests.backends import BACKENDS

DEFLATES = (None, PerMessageDeflate(), PerMessageDeflate(client_no_context_takeover=True))


SEEDS = (
    b"\0\0\0\0" + cut(bytes.fromhex("818537fa213d 7f9f4d5158")),
    b"\0\0\1\2" + cut(bytes.fromhex("c18700000000 f248cdc9c90700")),
    b"\0\0\0\1" + cut(bytes.fromhex("018137fa213d7f 898037fa213d 808137fa213d40"), 1),
    b"\3\1\0\0" + cut(bytes.fromhex("888237fa213d3412"), 3),
)
"""A message, a compressed one, fragments around a ping, and a close frame."""


def tell(kind: Any, limits: tuple[int, int], deflate: Any, pieces: list[bytes], frames: int) -> list[object]:
    """Return everything that an endpoint makes of ``pieces`` when it takes this many frames at once."""
    side = kind(*limits, None if deflate is None else Deflate(deflate))
    story: list[object] = []
    for piece in pieces:
        position = 0
        while position < len(piece):
            for event in side.receive(piece[position:], frames):
                story.append(event if isinstance(event, str | bytes) else repr(event))
                if isinstance(event, Ping):
                    side.pong(event.payload)
            position += side.taken
            story.append((side.output_size, side.messages_received, side.bytes_received))
    story.append(b"".join(side.output))
    return story


def events_of(story: list[object]) -> list[object]:
    """Return the part of a story that does not depend on how many frames were taken at once."""
    return [each for each in story if not isinstance(each, tuple)]


def one_input(data: bytes) -> None:
    """Compare the backends."""
    given = Input(data)
    limits = given.choose([1 << 20, 300, 125, 1]), given.choose([1000, 2])
    deflate = given.choose(DEFLATES)
    frames = given.choose([UNLIMITED, 1, 2, 5, 16, 40])
    pieces = list(given.pieces())
    stories = [tell(backend.Endpoint, limits, deflate, pieces, frames) for backend in BACKENDS.values()]
    assert stories[1:] == stories[:-1], stories
    at_once = tell(BACKENDS["pure"].Endpoint, limits, deflate, pieces, UNLIMITED)
    assert events_of(at_once) == events_of(stories[0]), (at_once, stories[0])
