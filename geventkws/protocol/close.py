"""The body of a close frame (RFC 6455, sections 5.5.1 and 7.4)."""

from __future__ import annotations

from dataclasses import dataclass

from geventkws.protocol.close_codes import WebSocketCloseReasonCode, is_sendable
from geventkws.protocol.errors import invalid_text, violation
from geventkws.protocol.opcodes import MAX_CONTROL_PAYLOAD

MAX_REASON_SIZE = MAX_CONTROL_PAYLOAD - 2
"""The most bytes in a close reason: the payload of a control frame, less two bytes for the code."""

WRONG_SIZE = "Close frames, which contain a payload, must be between 2 and 125 octets inclusive"


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame; ``code`` is ``NO_REASON_CODE_SENT`` (1005) if its payload is empty."""

    code: WebSocketCloseReasonCode = WebSocketCloseReasonCode.NO_REASON_CODE_SENT
    reason: str = ""


def parse_close(payload: bytes) -> Close:
    """Return the content of a close frame with at most 125 bytes.

    Raises ``ProtocolError``: 1002 for a payload of one byte or a code that may not be sent, 1007 for a reason
    that is not UTF-8.
    """
    if not payload:
        return Close()
    if len(payload) == 1:
        raise violation(WRONG_SIZE)
    number = int.from_bytes(payload[:2], "big")
    if not is_sendable(number):
        raise violation(f"Close frames must not carry the code {number}")
    try:
        reason = payload[2:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_text("The reason of a close frame must be valid UTF-8") from error
    return Close(WebSocketCloseReasonCode(number), reason)


def close_payload(code: int, reason: str = "") -> bytes:
    """Return the payload of a close frame; for 1005, an empty one.

    Raises ``ValueError`` for any other code that may not be sent, a reason without a code, or a reason of
    more than 123 bytes of UTF-8.
    """
    encoded = reason.encode("utf-8")
    if code == WebSocketCloseReasonCode.NO_REASON_CODE_SENT and not encoded:
        return b""
    if not is_sendable(code):
        raise ValueError(f"the close code {int(code)} must not be sent in a close frame (RFC 6455, 7.4)")
    if len(encoded) > MAX_REASON_SIZE:
        raise ValueError(
            f"the description of a close must be at most {MAX_REASON_SIZE} bytes of UTF-8, not {len(encoded)}"
        )
    return int(code).to_bytes(2, "big") + encoded
