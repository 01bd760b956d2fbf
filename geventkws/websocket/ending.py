"""What is to be remembered of a connection's end. Most connections are open, and have none of it."""

from __future__ import annotations

from geventkws.backend import use_compiled
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.closing import ABNORMAL, OURS, PEERS, RULE
from geventkws.protocol.errors import ProtocolError


class Ending:
    """How a connection ends: in whose words, with which code, and until when."""

    __slots__ = ("close_code", "close_text", "deadline", "last_word", "outcome", "peers_text")

    def __init__(self) -> None:
        self.outcome: Code | None = None
        """The code for ``disconnected``, once that is known."""
        self.close_code = Code.NORMAL
        """Our own code, which is sent unless the peer's counts."""
        self.close_text = ""
        self.last_word: Close | ProtocolError | None = None
        """The peer's close frame, or the rule that it has broken."""
        self.peers_text = ""
        """The text of the peer's close frame, once that counts."""
        self.deadline: float | None = None
        """When the wait for the peer or the service ends, by ``time.monotonic``."""

    def decide(self, outcome: int) -> None:
        """Set the outcome to the code that the table names, unless it is known already."""
        if self.outcome is None:
            self.outcome = self._code_of(outcome)

    def _code_of(self, outcome: int) -> Code:
        if outcome == OURS:
            return self.close_code
        last_word = self.last_word
        if outcome == ABNORMAL or last_word is None:
            return Code.CLOSED_ABNORMALLY
        if isinstance(last_word, Close):
            self.peers_text = last_word.reason
        return last_word.code

    def close_frame(self, outcome: int) -> tuple[Code, str]:
        """Return the code and the text of our close frame."""
        last_word = self.last_word
        if outcome == RULE and isinstance(last_word, ProtocolError):
            return last_word.code, last_word.message
        if outcome == PEERS and last_word is not None:
            return last_word.code, ""
        return self.close_code, self.close_text


use_compiled(__name__, globals())
