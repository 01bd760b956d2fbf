"""What a server must not let a flood do."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.kinds import KINDS
from tests.hostile.scene import STOP_TIMEOUT, Outcome

LONGEST_WAIT = 1.0
"""Seconds that an innocent may wait, without waits for a core (``cores``): many times what it needs."""
MEDIAN_WAIT = 0.25
"""Seconds that half of the waits may take: a busy machine spoils one wait, an unfair server all of them."""
QUEUED = 0.002
"""Seconds added to both for each connection of the flood, which may have its turn first."""
GOAL = 0.1
"""Seconds within which it should be answered on a quiet machine: shown, but not held against the server."""
LONGEST_STOP = STOP_TIMEOUT + 2.0
"""Seconds from SIGTERM to the end, with the second that ``stop`` gives callbacks, and one of grace."""
LEAST_FLOOD = 100_000
"""Bytes, sent and received together, from which on it counts as a flood."""


def complaints(outcome: Outcome) -> list[str]:
    """Return what is wrong, in sentences; empty if all is well."""
    return [*about_the_flood(outcome), *about_the_waits(outcome), *about_the_end(outcome)]


def about_the_flood(outcome: Outcome) -> Iterator[str]:
    """Yield why this was not the flood that it was meant to be."""
    if outcome.plan.connections and outcome.sent + outcome.received < LEAST_FLOOD:
        yield f"only {outcome.sent} bytes were sent and {outcome.received} received: no flood"
    for status in set(outcome.statuses) - {"HTTP/1.1 200"}:
        yield f"{outcome.statuses[status]} connections were answered {status!r}"
    for name, count in outcome.lost.items():
        if name in KINDS and KINDS[name].path:
            yield f"the server ended {count} WebSockets of the flood {name}"


def about_the_waits(outcome: Outcome) -> Iterator[str]:
    """Yield what an innocent may complain about."""
    queued = QUEUED * outcome.plan.connections
    for name, waits in outcome.innocents.items():
        if waits.error is not None:
            yield f"{name}: {waits.error}"
        elif waits.longest > LONGEST_WAIT + queued:
            yield f"{name} waited {waits.longest:.2f} s for an answer"
        elif waits.median > MEDIAN_WAIT + queued:
            yield f"{name} waited {waits.median:.2f} s for half of the answers"


def about_the_end(outcome: Outcome) -> Iterator[str]:
    """Yield in which ways the server did not end as it should."""
    if outcome.stop is None:
        yield "the server did not end at SIGTERM"
    elif outcome.stop > LONGEST_STOP:
        yield f"the server ended {outcome.stop:.2f} s after SIGTERM"
    if "Traceback" in outcome.log:
        yield "the server logged a traceback"
