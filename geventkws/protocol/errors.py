"""Errors that fail a connection (RFC 6455, section 7.1.7, "Fail the WebSocket Connection")."""

from __future__ import annotations

from geventkws.protocol.close_codes import WebSocketCloseReasonCode


class ProtocolError(Exception):
    """The peer broke a rule; the connection fails with ``code`` and ``message`` in a close frame."""

    def __init__(self, code: WebSocketCloseReasonCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __repr__(self) -> str:
        return f"ProtocolError({int(self.code)}, {self.message!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ProtocolError):
            return NotImplemented
        return (self.code, self.message) == (other.code, other.message)

    def __hash__(self) -> int:
        return hash((self.code, self.message))


def violation(message: str) -> ProtocolError:
    """Return the error for a breach of the framing rules: 1002."""
    return ProtocolError(WebSocketCloseReasonCode.PROTOCOL_ERROR, message)


def too_large(message: str) -> ProtocolError:
    """Return the error for a message that exceeds a limit of this endpoint: 1009."""
    return ProtocolError(WebSocketCloseReasonCode.MESSAGE_TOO_LARGE, message)


def invalid_text(message: str) -> ProtocolError:
    """Return the error for text that is not UTF-8: 1007."""
    return ProtocolError(WebSocketCloseReasonCode.INVALID_DATA_CONTENTS, message)
