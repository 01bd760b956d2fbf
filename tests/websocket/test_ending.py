"""Whose code counts when a connection ends, and what our close frame says."""

from __future__ import annotations

import pytest

from geventkws.protocol import closing
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.errors import ProtocolError
from geventkws.websocket.ending import Ending

PEERS = Close(Code(4001), "theirs")
FAULT = ProtocolError(Code.INVALID_DATA_CONTENTS, "not UTF-8")


def ending(last_word: Close | ProtocolError | None = None) -> Ending:
    """Return the ending of a connection that was closed with 4000."""
    ending = Ending()
    ending.close_code, ending.close_text, ending.last_word = Code(4000), "ours", last_word
    return ending


@pytest.mark.parametrize(
    ("outcome", "last_word", "code", "text"),
    [
        (closing.OURS, PEERS, 4000, ""),
        (closing.PEERS, PEERS, 4001, "theirs"),
        (closing.RULE, FAULT, 1007, ""),
        (closing.ABNORMAL, PEERS, 1006, ""),
        (closing.PEERS, None, 1006, ""),
    ],
)
def test_the_table_says_whose_code_counts(
    outcome: int, last_word: Close | ProtocolError | None, code: int, text: str
) -> None:
    decided = ending(last_word)
    decided.decide(outcome)
    assert (decided.outcome, decided.peers_text) == (code, text)


def test_what_is_decided_stays() -> None:
    decided = ending(PEERS)
    decided.decide(closing.OURS)
    decided.decide(closing.ABNORMAL)
    assert decided.outcome == 4000


@pytest.mark.parametrize(
    ("outcome", "last_word", "frame"),
    [
        (closing.NONE, None, (4000, "ours")),
        (closing.OURS, PEERS, (4000, "ours")),
        (closing.PEERS, PEERS, (4001, "")),
        (closing.RULE, FAULT, (1007, "not UTF-8")),
    ],
)
def test_our_close_frame_answers_or_explains(
    outcome: int, last_word: Close | ProtocolError | None, frame: tuple[int, str]
) -> None:
    assert ending(last_word).close_frame(outcome) == frame
