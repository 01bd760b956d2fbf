"""Where our reading differs from that of others in a way that matters.

To refuse what others accept is no danger: it is counted, not judged. To accept what most refuse is one, and
so is to read another message, or one more, than those who accept: whoever stands between two such servers can
be led to pass on what it has not seen (RFC 9112, 11.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.differential.dialogue import Answer

ACCEPTS = "we accept what most refuse"
DIFFERS = "we read something else than most"
ENDS = "we end where most read on"
STRICTER = "we refuse what all accept"

Step = tuple[str, ...]
"""What happened to one request: a word, and what was read or agreed."""


class Verdict(NamedTuple):
    """How we differ, at which request, and what each has done there."""

    kind: str
    position: int
    ours: Step
    theirs: dict[str, Step]

    @property
    def accepted(self) -> str | None:
        """Why this kind of difference need not be judged; ``None`` if it must be."""
        return STRICTER if self.kind == STRICTER else None


ENDED: Step = ("ended",)
ACCEPTING = ("read", "answered")


def compare_requests(ours: Sequence[Answer], theirs: Mapping[str, Sequence[Answer]]) -> Verdict | None:
    """Return the first difference between us and most of those who have read the same before it.

    Where we take a request for a handshake, nothing is compared: others know no WebSocket.
    """
    mine, others = _steps(ours), {name: _steps(answers) for name, answers in theirs.items()}
    for position, step in enumerate(mine):
        there = {
            name: each[position] if position < len(each) else ENDED
            for name, each in others.items()
            if each[:position] == mine[:position]
        }
        if kind := _judge(step, list(there.values()), first=position == 0):
            return Verdict(kind, position, step, there)
        if step[0] not in ACCEPTING:
            return None
    return None


def _steps(answers: Sequence[Answer]) -> list[Step]:
    """Return what happened to each request of a connection, up to the first that was refused, and the end."""
    found: list[Step] = []
    for answer in answers:
        found.append(_step(answer))
        if found[-1][0] not in ACCEPTING:
            return found
    return [*found, ENDED]


def _step(answer: Answer) -> Step:
    if answer.read is not None:
        return ("read", *answer.read)
    if answer.status == 101:
        return ("switched",)
    return ("answered",) if answer.status < 300 else ("refused", str(answer.status))


def _judge(mine: Step, others: list[Step], *, first: bool) -> str | None:
    accepting = [each for each in others if each[0] in ACCEPTING]
    # Whoever has ended the connection after an answer may have had another reason for it.
    refusing = [each for each in others if each[0] == "refused" or (first and each == ENDED)]
    if mine[0] == "read":
        if len(refusing) > len(accepting):
            return ACCEPTS
        return DIFFERS if 2 * accepting.count(mine) < len(accepting) else None
    if mine == ENDED and not first:
        return ENDS if 2 * len(accepting) > len(others) else None
    return STRICTER if mine[0] in ("refused", "ended") and accepting and not refusing else None


def compare_handshakes(ours: Sequence[Answer], theirs: Mapping[str, Sequence[Answer]]) -> Verdict | None:
    """Return how we have answered a handshake otherwise than most: that, or what, we have agreed."""
    mine, others = _opening(ours), {name: _opening(answers) for name, answers in theirs.items()}
    opening = [each for each in others.values() if each != REFUSED]
    if mine == REFUSED:
        return Verdict(STRICTER, 0, mine, others) if len(opening) == len(others) else None
    if 2 * len(opening) < len(others):
        return Verdict(ACCEPTS, 0, mine, others)
    compressing = [each[3] for name, each in others.items() if name in COMPRESSING and each != REFUSED]
    agreed = [each[:3] for each in opening]
    if 2 * agreed.count(mine[:3]) < len(agreed) or (compressing and mine[3] and mine[3] not in compressing):
        return Verdict(DIFFERS, 0, mine, others)
    return None


COMPRESSING = ("websockets", "aiohttp", "uvicorn-wsproto")
"""Those that can agree on compression."""
REFUSED: Step = ("refused",)


def _opening(answers: Sequence[Answer]) -> Step:
    if not answers or answers[0].status != 101:
        return REFUSED
    fields = answers[0].fields
    deflate = fields.get("sec-websocket-extensions", "").partition(";")[0].strip()
    return ("open", fields.get("sec-websocket-accept", ""), fields.get("sec-websocket-protocol", ""), deflate)
