"""Feed both protocol backends the same bytes in the same pieces, and compare all that comes of it.

``make fuzz`` runs it; by hand: ``python fuzzing/fuzz_parity.py -max_total_time=60 CORPUS_DIRECTORY``. The
first bytes of an input choose the limits and where it is cut.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["geventkws.protocol"]):
    from geventkws.protocol import _speedups, endpoint
    from geventkws.protocol.messages import Ping


def run(kind: type, limits: tuple[int, int], pieces: list[bytes]) -> list[object]:
    """Return everything an endpoint makes of ``pieces``."""
    side = kind(*limits)
    story: list[object] = []
    for piece in pieces:
        for event in side.receive(piece):
            story.append(event)
            if isinstance(event, Ping):
                side.pong(event.payload)
        story.append((side.output_size, side.messages_received, side.bytes_received))
    story.append(b"".join(side.output))
    return story


def one_input(data: bytes) -> None:
    """Compare the backends on one input."""
    provider = atheris.FuzzedDataProvider(data)
    limits = provider.PickValueInList([1 << 20, 300, 125, 1]), provider.PickValueInList([1000, 2])
    pieces = []
    while provider.remaining_bytes():
        pieces.append(provider.ConsumeBytes(provider.PickValueInList([1, 2, 3, 16, 200, 1 << 20])))
    pure, compiled = run(endpoint.Endpoint, limits, pieces), run(_speedups.Endpoint, limits, pieces)
    if pure != compiled:
        raise AssertionError(f"pure {pure!r}\ncompiled {compiled!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
