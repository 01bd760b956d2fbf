"""Feeds both protocol backends the same bytes in the same pieces, and compares everything they produce.

``make fuzz`` runs it; by hand: ``python fuzzing/fuzz_parity.py -max_total_time=60 CORPUS_DIRECTORY``. The
first bytes of an input choose the limits, where it is cut, and how many frames are taken at once.
"""

from __future__ import annotations

import os
import sys

import atheris

os.environ["GEVENTKWS_PURE"] = "1"  # otherwise the compiled endpoint would replace the readable one
with atheris.instrument_imports(include=["geventkws.protocol"]):
    from geventkws.protocol import _c_endpoint, endpoint
    from geventkws.protocol.frames import UNLIMITED
    from geventkws.protocol.messages import Ping


def run(kind: type, limits: tuple[int, int], pieces: list[bytes], max_frames: int) -> list[object]:
    """Return everything that an endpoint makes of ``pieces`` when it takes ``max_frames`` frames at once."""
    side = kind(*limits)
    story: list[object] = []
    for piece in pieces:
        position = 0
        while position < len(piece):
            for event in side.receive(piece[position:], max_frames):
                story.append(event)
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
    """Compare the backends on one input."""
    provider = atheris.FuzzedDataProvider(data)
    limits = provider.PickValueInList([1 << 20, 300, 125, 1]), provider.PickValueInList([1000, 2])
    max_frames = provider.PickValueInList([UNLIMITED, 1, 2, 5, 16, 40])
    pieces = []
    while provider.remaining_bytes():
        pieces.append(provider.ConsumeBytes(provider.PickValueInList([1, 2, 3, 16, 200, 1 << 20])))
    pure = run(endpoint.Endpoint, limits, pieces, max_frames)
    compiled = run(_c_endpoint.Endpoint, limits, pieces, max_frames)
    if pure != compiled:
        raise AssertionError(f"pure {pure!r}\ncompiled {compiled!r}")
    at_once = run(_c_endpoint.Endpoint, limits, pieces, UNLIMITED)
    if events_of(at_once) != events_of(compiled):
        raise AssertionError(f"at once {at_once!r}\n{max_frames} frames at a time {compiled!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
