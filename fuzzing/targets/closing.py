"""The closing table: from any state, any events lead to one end, with one close frame and one outcome."""

from __future__ import annotations

from geventkws.protocol.closing import (
    CLOSED,
    NONE,
    OPEN,
    RELEASE,
    SEND_CLOSE,
    TIME,
    TRANSITIONS,
    Event,
)

SEEDS = (bytes([0, 3, 8]), bytes([3, 7, 8]), bytes([4, 7, 9, 5]), bytes([11, 7, 3, 8]), bytes([5, 7, 8]))


def one_input(data: bytes) -> None:
    """Walk through the table; each byte is an event."""
    state, frames, outcomes, releases = OPEN, 0, 0, 0
    for event in [*(byte % len(Event) for byte in data), TIME, TIME, TIME]:
        state, outcome, actions = TRANSITIONS[state][event]
        frames += bool(actions & SEND_CLOSE)
        outcomes += outcome != NONE
        releases += bool(actions & RELEASE)
        assert frames <= 1, "a second close frame"
        assert releases <= 1, "the socket is closed twice"
        assert (state == CLOSED) == (releases == 1)
    assert state == OPEN or (state == CLOSED and outcomes >= 1), state
