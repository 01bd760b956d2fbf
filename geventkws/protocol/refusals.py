"""Why an upgrade is refused, and the exception that refuses it with an HTTP response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from geventkws.protocol.origin import MAX_CACHED, parse_origin
from geventkws.protocol.tokens import is_token

# Visible characters, spaces, tabs and Latin-1 (RFC 9110, 5.5): nothing that could end the line.
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Refusal(StrEnum):
    """Why an upgrade is refused, in one word, for the metrics."""

    REQUEST = "request"
    """The handshake is malformed."""
    VERSION = "version"
    """It asks for a version of the protocol other than 13."""
    ORIGIN = "origin"
    """The page is of a foreign origin."""
    PATH = "path"
    """There is no service at its path."""
    SERVICE = "service"
    """The service has refused in ``connecting``."""
    APPLICATION = "application"
    """The application has refused, or answered with a response of its own."""
    FAILURE = "failure"
    """The service has failed."""
    STOPPING = "stopping"
    """The server is shutting down."""


class HandshakeError(Exception):
    """An upgrade is refused with an HTTP response. Raise it in ``connecting`` to refuse a connection.

    ``status`` is the status of the response, 300 to 599, ``message`` its body, as plain text, and ``headers``
    are further header fields, as a mapping or (name, value) pairs, such as ``{"Location": "/login"}``.

    Raises ``TypeError`` for other types, and ``ValueError`` for another status or an invalid header field.
    """

    status: int
    message: str
    headers: list[tuple[str, str]]

    _refusal = Refusal.APPLICATION

    def __init__(
        self,
        status: int,
        message: str = "",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        _check_types(status, message)
        if not 300 <= status <= 599:
            raise ValueError(f"an upgrade is refused with a status of 300 to 599, not {status!r}")
        self.status = status
        self.message = message
        self.headers = list(headers.items() if isinstance(headers, Mapping) else headers)
        for name, value in self.headers:
            if not is_token(name):
                raise ValueError(f"{name!r} is not a valid name for a header field (RFC 9110, 5.1)")
            if _FIELD_VALUE.fullmatch(value) is None:
                raise ValueError(
                    f"the value of {name} has characters that a header field cannot have: {value!r}"
                )
        super().__init__(status, message, self.headers)

    def __str__(self) -> str:
        return f"{self.status} {self.message}".rstrip()


OWN_ORIGINS = "the service's allowed_origins"
"""The list that a refusal names if it is the service's own."""


class ForeignOriginError(HandshakeError):
    """The page that opens the connection has a foreign origin (RFC 6455, 10.2).

    ``origin`` is as sent. With ``by_host``, it was compared with ``host``; otherwise only with the list that
    ``listed`` names.
    """

    _refusal = Refusal.ORIGIN

    def __init__(self, origin: str, host: str, *, by_host: bool, listed: str = OWN_ORIGINS) -> None:
        # An invalid origin is not repeated: it would help nobody.
        is_origin = len(origin) <= MAX_CACHED and parse_origin(origin) is not None
        named = f"The origin {origin}" if is_origin else "The origin of the upgrade request"
        reason = (
            "it is not that of the Host field, which must reach the server as the browser sent it"
            if by_host
            else f"it is not one of {listed}"
        )
        super().__init__(403, f"{named} is not allowed to connect: {reason}")
        self.origin = origin
        self.host = host
        self.by_host = by_host


def _check_types(status: object, message: object) -> None:
    if not isinstance(status, int) or not isinstance(message, str):
        raise TypeError(
            "HandshakeError takes a status and a message, as in HandshakeError(403, 'Members only'),"
            f" not {status!r} and {message!r}"
        )
