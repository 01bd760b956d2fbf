"""The codes by which the server says what went wrong: of a command, a subscription or a connection."""

from __future__ import annotations

from enum import IntEnum

from geventkws.centrifuge.protocol.parts import Error
from geventkws.centrifuge.protocol.replies import Unsubscribe


class ErrorCode(IntEnum):
    """Why a command has failed."""

    INTERNAL = 100
    UNAUTHORIZED = 101
    UNKNOWN_CHANNEL = 102
    PERMISSION_DENIED = 103
    METHOD_NOT_FOUND = 104
    ALREADY_SUBSCRIBED = 105
    LIMIT_EXCEEDED = 106
    BAD_REQUEST = 107
    NOT_AVAILABLE = 108
    TOKEN_EXPIRED = 109
    EXPIRED = 110
    TOO_MANY_REQUESTS = 111
    UNRECOVERABLE_POSITION = 112


class UnsubscribeCode(IntEnum):
    """Why the server has ended a subscription. From 2500 on, the client subscribes again."""

    SERVER = 2000
    INSUFFICIENT_STATE = 2500
    EXPIRED = 2501


class DisconnectCode(IntEnum):
    """Why the server has closed a connection. From 3500 on, the client does not connect again."""

    SHUTDOWN = 3001
    SERVER_ERROR = 3004
    EXPIRED = 3005
    SUBSCRIPTION_EXPIRED = 3006
    SLOW = 3008
    WRITE_ERROR = 3009
    INSUFFICIENT_STATE = 3010
    FORCE_RECONNECT = 3011
    NO_PONG = 3012
    TOO_MANY_REQUESTS = 3013
    INVALID_TOKEN = 3500
    BAD_REQUEST = 3501
    STALE = 3502
    FORCE_NO_RECONNECT = 3503
    CONNECTION_LIMIT = 3504
    CHANNEL_LIMIT = 3505
    INAPPROPRIATE_PROTOCOL = 3506
    PERMISSION_DENIED = 3507
    NOT_AVAILABLE = 3508
    TOO_MANY_ERRORS = 3509


TEMPORARY = frozenset((ErrorCode.INTERNAL, ErrorCode.TOO_MANY_REQUESTS))
"""The errors after which a client may try again."""

_TEXTS: dict[int, str] = {
    ErrorCode.INTERNAL: "internal server error",
    UnsubscribeCode.SERVER: "server unsubscribe",
    UnsubscribeCode.EXPIRED: "subscription expired",
    DisconnectCode.SERVER_ERROR: "internal server error",
    DisconnectCode.EXPIRED: "connection expired",
    DisconnectCode.FORCE_NO_RECONNECT: "force disconnect",
}
"""The texts that are not simply the names."""


def _text_of(code: int, kind: type[IntEnum]) -> str:
    try:
        return _TEXTS.get(code) or kind(code).name.lower().replace("_", " ")
    except ValueError:
        raise ValueError(f"{code} is no code of the protocol: give it a text") from None


class ClientError(Exception):
    """A command has failed: a callback that raises it lets the client know by the reply.

    ``code`` is an ``ErrorCode``, or one of the application's, from 400 to 1999, with a ``message``.
    ``temporary`` says that the client may try again; by default, as the protocol has it.
    """

    def __init__(self, code: int, message: str | None = None, temporary: bool | None = None) -> None:
        if not 100 <= code <= 1999:
            raise ValueError(f"the code of an error must be from 100 to 1999, which {code} is not")
        text = _text_of(code, ErrorCode) if message is None else message
        super().__init__(f"{text} ({int(code)})")
        self.error = Error(int(code), text, code in TEMPORARY if temporary is None else temporary)
        """What the client is told."""


class Disconnect(Exception):
    """The connection must end: a callback that raises it closes the connection.

    ``code`` is a ``DisconnectCode``, or one of the application's, with a ``reason`` of at most 123 bytes in
    UTF-8: after 4000 to 4499, the client connects again, and after 4500 to 4999 it does not.
    """

    def __init__(self, code: int, reason: str | None = None) -> None:
        if not 3000 <= code <= 4999:
            raise ValueError(f"the code of a disconnect must be from 3000 to 4999, which {code} is not")
        text = _text_of(code, DisconnectCode) if reason is None else reason
        if len(text.encode()) > 123:
            raise ValueError(f"the reason of a disconnect must be at most 123 bytes long: {text!r}")
        super().__init__(f"{text} ({int(code)})")
        self.code = int(code)
        self.reason = text


def unsubscribe(code: int, reason: str | None = None) -> Unsubscribe:
    """Return the message that ends a subscription."""
    return Unsubscribe(int(code), _text_of(code, UnsubscribeCode) if reason is None else reason)
