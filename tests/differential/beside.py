"""Beside servers of other authors: the same bytes to all, and where we differ from most of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gevent

from tests.differential.dialogue import QUIET, Answer, talk
from tests.differential.judge import Verdict
from tests.waiting import LONG

Compare = Callable[[Sequence[Answer], Mapping[str, Sequence[Answer]]], Verdict | None]

PATIENT = 5 * QUIET
"""Seconds to wait for answers when a difference is to be confirmed."""

_EMPTY_LINE = re.compile(rb"(?<=\r\n\r\n)")


def ask(ports: Mapping[str, int], pieces: Sequence[bytes], quiet: float) -> dict[str, list[Answer]]:
    """Send the same bytes to all, at the same time, and return what each has answered."""
    asked: dict[str, Any] = {name: gevent.spawn(talk, port, pieces, quiet) for name, port in ports.items()}
    gevent.joinall(list(asked.values()), timeout=LONG, raise_error=True)
    return {name: greenlet.get().answers for name, greenlet in asked.items()}


def verdict(port: int, peers: Mapping[str, int], data: bytes, compare: Compare) -> Verdict | None:
    """Return how we differ from the peers, if we still do when everybody has more time.

    The second time, what may be a second request comes later: some parse all that has arrived, and answer
    nothing if any of it is malformed.
    """

    def difference(pieces: Sequence[bytes], quiet: float) -> Verdict | None:
        theirs = ask({"": port, **peers}, pieces, quiet)
        return compare(theirs.pop(""), theirs)

    return difference([data], QUIET) and difference(_EMPTY_LINE.split(data), PATIENT)
