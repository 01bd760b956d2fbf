"""Close reason codes (RFC 6455, section 7.4, and the IANA registry of close codes)."""

from __future__ import annotations

from enum import IntEnum


class WebSocketCloseReasonCode(IntEnum):
    """Why a connection was closed (Kitura: ``WebSocketCloseReasonCode``; RFC 6455, section 7.4.1).

    Codes from 3000 to 4999 belong to applications: ``WebSocketCloseReasonCode(4001)`` or
    ``WebSocketCloseReasonCode.user_defined(4001)`` makes one. Any other number raises ``ValueError``.
    """

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_DATA_TYPE = 1003
    NO_REASON_CODE_SENT = 1005
    CLOSED_ABNORMALLY = 1006
    INVALID_DATA_CONTENTS = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_LARGE = 1009
    EXTENSION_MISSING = 1010
    SERVER_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014

    @classmethod
    def user_defined(cls, code: int) -> WebSocketCloseReasonCode:
        """Return the reason code of an application (Kitura: ``.userDefined``).

        ``code`` is 3000 to 3999 (registered with IANA) or 4000 to 4999 (private use); others raise
        ``ValueError``.
        """
        if not is_user_defined(code):
            raise ValueError(f"a user-defined close code must be from 3000 to 4999, not {code!r}")
        return cls(code)

    @classmethod
    def _missing_(cls, value: object) -> WebSocketCloseReasonCode | None:
        # Not cached, so that a peer that tries all codes leaves nothing behind.
        if not isinstance(value, int) or not is_user_defined(value):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"USER_DEFINED_{value}"
        member._value_ = value
        return member


NEVER_ON_THE_WIRE = frozenset(
    {WebSocketCloseReasonCode.NO_REASON_CODE_SENT, WebSocketCloseReasonCode.CLOSED_ABNORMALLY}
)
"""Codes that an endpoint reports but must not send (RFC 6455, section 7.4.1; 1015 has no name here)."""

SENDABLE = frozenset(WebSocketCloseReasonCode) - NEVER_ON_THE_WIRE


def is_user_defined(code: int) -> bool:
    """Return whether applications may give ``code`` a meaning (RFC 6455, section 7.4.2)."""
    return 3000 <= code <= 4999


def is_sendable(code: int) -> bool:
    """Return whether ``code`` may be sent in a close frame (RFC 6455, section 7.4)."""
    return code in SENDABLE or is_user_defined(code)
