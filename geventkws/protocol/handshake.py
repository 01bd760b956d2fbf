"""The server's opening handshake (RFC 6455, section 4.2) as a pure function.

``negotiate`` checks a request in this order, and the first failure decides the response:

====  =================================  =========================================  ======================
step  what must hold                     else                                       RFC 6455, section
====  =================================  =========================================  ======================
1     the method is GET                  405 with ``Allow``                         4.2.1, item 1
2     the version is HTTP/1.1            400                                        4.2.1, item 1
3     one well-formed ``Host``           400                                        4.2.1, item 2
4     ``Upgrade`` names ``websocket``    400                                        4.2.1, item 3
5     ``Connection`` names ``upgrade``   400                                        4.2.1, item 4
6     one ``Sec-WebSocket-Version``, 13  400 missing or repeated, 426 for another   4.2.1, item 6; 4.2.2; 4.4
7     one ``Sec-WebSocket-Key``          400                                        4.2.1, item 5
8     no ``Origin``, or an allowed one   400 repeated, 403 foreign                  4.2.2, item 4; 10.2
9     subprotocols are tokens            400                                        4.2.1, item 8; 4.2.2
10    extensions follow their grammar    400                                        4.2.1, item 9; 9.1
====  =================================  =========================================  ======================

The version comes before the key, because it says how to read the rest. Whatever can mean only one thing is
accepted even if it is badly written: an empty list counts as no list, and a slash after an origin is ignored.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from geventkws.protocol.extension_list import ExtensionOffer, parse_extensions
from geventkws.protocol.extensions import PerMessageDeflate, negotiate_deflate
from geventkws.protocol.headers import Headers, is_token, list_members, tokens
from geventkws.protocol.origin import MAX_CACHED, origin_allowed, parse_authority, parse_origin

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = "13"

# 22 digits and the padding are 16 bytes. The 4 unused bits of the last digit may be set: decoders may accept
# that (RFC 4648, 3.5), and clients that invent the text of their key do it.
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")

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


_ALLOWED_ORIGINS = "the service's allowed_origins"


class ForeignOriginError(HandshakeError):
    """The page that opens the connection has a foreign origin (RFC 6455, 10.2).

    ``origin`` is as sent. With ``by_host``, it was compared with ``host``; otherwise only with the list that
    ``listed`` names.
    """

    _refusal = Refusal.ORIGIN

    def __init__(self, origin: str, host: str, *, by_host: bool, listed: str = _ALLOWED_ORIGINS) -> None:
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


class HandshakePolicy(Protocol):
    """What the handshake needs to know about a service."""

    @property
    def subprotocols(self) -> Sequence[str]:
        """The subprotocols that the service speaks."""

    @property
    def allowed_origins(self) -> Sequence[str] | str | None:
        """The origins that may connect, in the form that ``origin_allowed`` takes."""

    @property
    def compression(self) -> bool | PerMessageDeflate:
        """Whether and how messages may be compressed, in the form that ``negotiate_deflate`` takes."""


class Acceptance(NamedTuple):
    """A handshake to be completed: the header fields of the 101 response, and what was agreed."""

    headers: list[tuple[str, str]]
    subprotocol: str | None
    compression: PerMessageDeflate | None = None


def accept_key(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a ``Sec-WebSocket-Key`` (RFC 6455, 4.2.2, item 5)."""
    # Here, SHA-1 only shows that the server understood the handshake; it protects nothing.
    digest = hashlib.sha1(key.encode("ascii") + GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def negotiate(method: str, version: str, headers: Headers, service: HandshakePolicy) -> Acceptance:
    """Return the answer to a client's opening handshake.

    ``method`` is as sent, ``version`` is the HTTP version, such as ``"1.1"``, and ``service`` is the service
    at the requested path. Raises ``HandshakeError`` for a request that must be refused; the table in the
    module's docstring says with which status.
    """
    _check_request_line(method, version)
    host = _check_host(headers)
    _check_upgrade(headers)
    _check_version(headers)
    key = _check_key(headers)
    _check_origin(headers, host, service.allowed_origins)
    subprotocol = _choose_subprotocol(headers, service.subprotocols)
    offers = _read_extensions(headers)
    answer = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(key)),
    ]
    if subprotocol is not None:
        answer.append(("Sec-WebSocket-Protocol", subprotocol))
    agreement = negotiate_deflate(offers, service.compression)
    if agreement is None:
        return Acceptance(answer, subprotocol)
    answer.append(("Sec-WebSocket-Extensions", agreement.answer))
    return Acceptance(answer, subprotocol, agreement.compression)


def check_origin(headers: Headers, allowed: Sequence[str] | str | None) -> None:
    """Raise ``HandshakeError`` if the ``Origin`` of an upgrade request is not allowed; check nothing else.

    For applications that do the rest of the handshake. ``allowed`` is as ``origin_allowed`` takes it.
    """
    _check_origin(headers, _check_host(headers), allowed, "the server's upgrade_origins")


def _check_request_line(method: str, version: str) -> None:
    # 4.2.1, item 1: "An HTTP/1.1 or higher GET request". HTTP/2 has another handshake (RFC 8441).
    if method != "GET":
        raise HandshakeError(405, f"A WebSocket is opened by GET, not by {method}", [("Allow", "GET")])
    if version != "1.1":
        raise HandshakeError(400, f"A WebSocket is opened by HTTP/1.1, not by HTTP/{version}")


def _check_host(headers: Headers) -> str:
    # 4.2.1, item 2: "A |Host| header field containing the server's authority."
    host = _single(headers, "Host")
    if host is None:
        raise HandshakeError(400, "Host header missing in the upgrade request")
    if parse_authority(host) is None:
        raise HandshakeError(400, "Host header malformed in the upgrade request")
    return host


def _check_upgrade(headers: Headers) -> None:
    # 4.2.1, items 3 and 4: both "treated as an ASCII case-insensitive value".
    if not _lists(headers, "Upgrade", "websocket"):
        raise HandshakeError(400, "Upgrade header in the upgrade request does not name websocket")
    if not _lists(headers, "Connection", "upgrade"):
        raise HandshakeError(400, "Connection header in the upgrade request does not name Upgrade")


def _check_version(headers: Headers) -> None:
    version = _single(headers, "Sec-WebSocket-Version")
    if version is None:
        raise HandshakeError(400, "Sec-WebSocket-Version header missing in the upgrade request")
    if version != VERSION:
        # 4.2.2: "an appropriate HTTP error code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version|
        # header field indicating the version(s) the server is capable of understanding".
        # RFC 9110, 15.5.22: a 426 has an Upgrade field, and 7.8: that field goes with Connection.
        answer = [("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
        raise HandshakeError(426, f"Only WebSocket protocol version {VERSION} is supported", answer)


def _check_key(headers: Headers) -> str:
    # 4.2.1, item 5: "a base64-encoded value that, when decoded, is 16 bytes in length".
    key = _single(headers, "Sec-WebSocket-Key")
    if key is None:
        raise HandshakeError(400, "Sec-WebSocket-Key header missing in the upgrade request")
    if _KEY.fullmatch(key) is None:
        raise HandshakeError(400, "Sec-WebSocket-Key header in the upgrade request is not 16 bytes in base64")
    return key


def _check_origin(
    headers: Headers, host: str, allowed: Sequence[str] | str | None, listed: str = _ALLOWED_ORIGINS
) -> None:
    # 4.2.2, item 4: "If the server does not wish to accept this connection, it MUST return an appropriate
    # HTTP error code (e.g., 403 Forbidden)". 10.2: a client that sends no origin is not a browser.
    origin = _single(headers, "Origin")
    if origin is not None and not origin_allowed(origin, host, allowed):
        raise ForeignOriginError(origin, host, by_host=allowed is None, listed=listed)


def _choose_subprotocol(headers: Headers, spoken: Sequence[str]) -> str | None:
    # 4.2.1, item 8: "a list of values indicating which protocols the client would like to speak, ordered by
    # preference"; 11.3.4: it may be split over several lines. Repeated values do no harm and are accepted.
    # Clients that were given an empty list send an empty field, which means none.
    offered = list_members(headers.get_all("Sec-WebSocket-Protocol"))
    if not offered:
        return None
    # 4.2.1: on "any violations of the ABNF grammar [...] the server MUST stop processing"; 4.3: 1#token.
    if not all(map(is_token, offered)):
        raise HandshakeError(400, "Sec-WebSocket-Protocol header malformed in the upgrade request")
    # 4.2.2, item 5: "if the server does not wish to agree to one of the suggested subprotocols, it MUST NOT
    # send back a |Sec-WebSocket-Protocol| header field". The comparison is case-sensitive.
    known = frozenset(spoken)
    return next((subprotocol for subprotocol in offered if subprotocol in known), None)


def _read_extensions(headers: Headers) -> list[ExtensionOffer]:
    # 9.1: for a value "that does not conform to the ABNF below, the recipient of such malformed data MUST
    # immediately _Fail the WebSocket Connection_", whether or not the service has any extension.
    try:
        return parse_extensions(headers.get_all("Sec-WebSocket-Extensions"))
    except ValueError as error:
        message = f"Sec-WebSocket-Extensions header malformed in the upgrade request, {error}"
        raise HandshakeError(400, message) from None


def _lists(headers: Headers, name: str, member: str) -> bool:
    return member in tokens(headers.get_all(name))


def _single(headers: Headers, name: str) -> str | None:
    # 11.3.1 and 11.3.5: the key and the version "MUST NOT appear more than once in an HTTP request";
    # RFC 9112, 3.2 says the same of Host, and RFC 6454, 7.3 of Origin.
    values = headers.get_all(name)
    if len(values) > 1:
        raise HandshakeError(400, f"{name} header repeated in the upgrade request")
    return values[0] if values else None
