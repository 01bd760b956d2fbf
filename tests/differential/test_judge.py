"""What counts as a difference, and what does not."""

from __future__ import annotations

import pytest

from tests.differential.dialogue import Answer, answers
from tests.differential.judge import (
    ACCEPTS,
    DIFFERS,
    ENDS,
    STRICTER,
    compare_handshakes,
    compare_requests,
)

REFUSES = [Answer(400, {})]


def reads(*bodies: str) -> list[Answer]:
    return [Answer(200, {"x-read": f"- POST {body}"}) for body in bodies]


def opens(protocol: str = "", extensions: str = "", accept: str = "key") -> list[Answer]:
    fields = {"sec-websocket-protocol": protocol, "sec-websocket-extensions": extensions}
    return [Answer(101, {"sec-websocket-accept": accept, **fields})]


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (reads("aa", "bb"), [reads("aa", "bb")] * 3, None),
        (REFUSES, [REFUSES, REFUSES, reads("aa")], None),
        (REFUSES, [reads("aa")] * 3, STRICTER),
        (reads("aa"), [REFUSES, REFUSES, reads("aa")], ACCEPTS),
        (reads("aa"), [[], [], reads("aa")], ACCEPTS),
        (reads("aa"), [REFUSES, reads("aa"), reads("aa")], None),
        (reads("aa"), [reads("bb"), reads("bb"), reads("aa")], DIFFERS),
        (reads("aa", "bb"), [[*reads("aa"), *REFUSES]] * 3, ACCEPTS),
        (reads("aa", "bb"), [reads("aa", "cc")] * 3, DIFFERS),
        # Whoever ends the connection after an answer says nothing of what comes next.
        (reads("aa", "bb"), [reads("aa"), reads("aa"), reads("aa", "bb")], None),
        (reads("aa"), [reads("aa", "bb"), reads("aa", "bb"), reads("aa")], ENDS),
        # Who has read something else before is not asked.
        (reads("aa", "bb"), [reads("aa", "bb"), reads("aa", "bb"), reads("cc", "dd")], None),
        # Where we see a handshake, others may see a request.
        (opens(), [reads("")] * 3, None),
    ],
)
def test_requests(ours: list[Answer], theirs: list[list[Answer]], kind: str | None) -> None:
    verdict = compare_requests(ours, {f"peer {number}": each for number, each in enumerate(theirs)})
    assert (verdict and verdict.kind) == kind


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (opens(), [opens(), opens(), REFUSES], None),
        (opens(), [opens(), REFUSES, REFUSES], ACCEPTS),
        (REFUSES, [opens(), opens(), REFUSES], None),
        (REFUSES, [opens()] * 3, STRICTER),
        (opens("chat"), [opens("chat"), opens("chat"), opens()], None),
        (opens(), [opens("chat"), opens("chat"), opens()], DIFFERS),
        (opens(accept="other"), [opens(), opens(), opens(accept="other")], DIFFERS),
        (
            opens(extensions="permessage-deflate; x"),
            [opens(extensions="permessage-deflate"), *[opens()] * 2],
            None,
        ),
        (opens(extensions="permessage-deflate"), [opens()] * 3, DIFFERS),
        (opens(), [opens(extensions="permessage-deflate"), *[opens()] * 2], None),
    ],
)
def test_handshakes(ours: list[Answer], theirs: list[list[Answer]], kind: str | None) -> None:
    verdict = compare_handshakes(ours, dict(zip(("websockets", "picows", "granian"), theirs, strict=True)))
    assert (verdict and verdict.kind) == kind


def test_answers_are_told_apart() -> None:
    received = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Read: 1-2 POST 6162\r\ncontent-length: 0\r\n\r\n"
        b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nwhy"
    )
    read, refused = answers(received)
    assert read.read == ("POST", "6162")
    assert (refused.status, refused.read, refused.fields) == (400, None, {"connection": "close"})
