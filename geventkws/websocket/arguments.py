"""Checks the arguments of a connection's methods; an error says what to pass instead."""

from __future__ import annotations

from geventkws.protocol.close import close_payload
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.opcodes import MAX_CONTROL_PAYLOAD


def ping_payload(message: object) -> bytes:
    """Return the payload of a ping; raise ``TypeError`` or, if it is too long, ``ValueError``."""
    if isinstance(message, str):
        message = message.encode()
    if not isinstance(message, (bytes, bytearray, memoryview, type(None))):
        raise TypeError(f"a ping's message must be str or bytes, not {message!r}")
    payload = bytes(message or b"")
    if len(payload) > MAX_CONTROL_PAYLOAD:
        raise ValueError(f"a ping's message must be at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}")
    return payload


def close_code(reason: object, description: object) -> WebSocketCloseReasonCode:
    """Return the code of a close, if it can be sent with this description.

    Raises ``TypeError`` for wrong types, and ``ValueError`` for a code that does not exist or may not be
    sent, or a description of more than 123 bytes.
    """
    if isinstance(reason, str):
        raise TypeError(
            f"the reason of a close is a code, not {reason!r}; for a text write description={reason!r}"
        )
    if isinstance(reason, bool) or not isinstance(reason, (int, type(None))):
        raise TypeError(f"the reason of a close must be a WebSocketCloseReasonCode, not {reason!r}")
    if not isinstance(description, (str, type(None))):
        raise TypeError(f"the description of a close must be a str, not {description!r}")
    try:
        code = WebSocketCloseReasonCode.NORMAL if reason is None else WebSocketCloseReasonCode(reason)
    except ValueError:
        raise ValueError(
            f"{reason} is not a close code: use one of WebSocketCloseReasonCode, or one of your own,"
            " from 4000 to 4999"
        ) from None
    close_payload(code, description or "")
    return code


def check_timeout(timeout: object) -> None:
    """Raise ``TypeError`` for anything but a time to wait."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float, type(None))):
        raise TypeError(f"the timeout of receive() must be a number of seconds or None, not {timeout!r}")
