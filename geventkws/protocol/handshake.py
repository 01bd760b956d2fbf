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

import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from geventkws.backend import use_compiled
from geventkws.protocol.extension_list import ExtensionOffer, parse_extensions
from geventkws.protocol.extensions import PerMessageDeflate, negotiate_deflate
from geventkws.protocol.field_index import FieldIndex
from geventkws.protocol.origin import origin_allowed, parse_authority
from geventkws.protocol.refusals import OWN_ORIGINS, ForeignOriginError, HandshakeError
from geventkws.protocol.tokens import is_token, list_members, tokens

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION = "13"

# 22 digits and the padding are 16 bytes. The 4 unused bits of the last digit may be set: decoders may accept
# that (RFC 4648, 3.5), and clients that invent the text of their key do it.
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")

_FIELDS = FieldIndex(
    "Host",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Key",
    "Origin",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
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


Lines = dict[str, list[str]]
"""The values of the fields that matter, by the names in ``_FIELDS``."""


class Acceptance(NamedTuple):
    """A handshake to be completed: the header fields of the 101 response, and what was agreed."""

    headers: list[tuple[str, str]]
    subprotocol: str | None
    compression: PerMessageDeflate | None = None


def accept_key(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a ``Sec-WebSocket-Key`` (RFC 6455, 4.2.2, item 5)."""
    # Here, SHA-1 only shows that the server understood the handshake; it protects nothing.
    digest = hashlib.sha1(key.encode("ascii") + GUID, usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False).decode("ascii")


def negotiate(
    method: str, version: str, fields: Iterable[tuple[str, str]], service: HandshakePolicy
) -> Acceptance:
    """Return the answer to a client's opening handshake.

    ``method`` is as sent, ``version`` is the HTTP version, such as ``"1.1"``, ``fields`` are the header
    fields as (name, value), without the whitespace around a value, and ``service`` is the service at the
    requested path. Raises ``HandshakeError`` for a request that must be refused; the table in the module's
    docstring says with which status.
    """
    _check_request_line(method, version)
    lines = _FIELDS.lines(fields)
    host = _check_host(lines)
    _check_upgrade(lines)
    _check_version(lines)
    key = _check_key(lines)
    _check_origin(lines, host, service.allowed_origins, OWN_ORIGINS)
    subprotocol = _choose_subprotocol(lines, service.subprotocols)
    offers = _read_extensions(lines)
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


def check_origin(fields: Iterable[tuple[str, str]], allowed: Sequence[str] | str | None) -> None:
    """Raise ``HandshakeError`` if the ``Origin`` of an upgrade request is not allowed; check nothing else.

    For applications that do the rest of the handshake. ``fields`` are as ``negotiate`` takes them, and
    ``allowed`` is as ``origin_allowed`` takes it.
    """
    lines = _FIELDS.lines(fields)
    _check_origin(lines, _check_host(lines), allowed, "the server's upgrade_origins")


def _check_request_line(method: str, version: str) -> None:
    # 4.2.1, item 1: "An HTTP/1.1 or higher GET request". HTTP/2 has another handshake (RFC 8441).
    if method != "GET":
        raise HandshakeError(405, f"A WebSocket is opened by GET, not by {method}", [("Allow", "GET")])
    if version != "1.1":
        raise HandshakeError(400, f"A WebSocket is opened by HTTP/1.1, not by HTTP/{version}")


def _check_host(lines: Lines) -> str:
    # 4.2.1, item 2: "A |Host| header field containing the server's authority."
    host = _single(lines, "Host")
    if host is None:
        raise HandshakeError(400, "Host header missing in the upgrade request")
    if parse_authority(host) is None:
        raise HandshakeError(400, "Host header malformed in the upgrade request")
    return host


def _check_upgrade(lines: Lines) -> None:
    # 4.2.1, items 3 and 4: both "treated as an ASCII case-insensitive value".
    if not _lists(lines, "Upgrade", "websocket"):
        raise HandshakeError(400, "Upgrade header in the upgrade request does not name websocket")
    if not _lists(lines, "Connection", "upgrade"):
        raise HandshakeError(400, "Connection header in the upgrade request does not name Upgrade")


def _check_version(lines: Lines) -> None:
    version = _single(lines, "Sec-WebSocket-Version")
    if version is None:
        raise HandshakeError(400, "Sec-WebSocket-Version header missing in the upgrade request")
    if version != VERSION:
        # 4.2.2: "an appropriate HTTP error code (such as 426 Upgrade Required) and a |Sec-WebSocket-Version|
        # header field indicating the version(s) the server is capable of understanding".
        # RFC 9110, 15.5.22: a 426 has an Upgrade field, and 7.8: that field goes with Connection.
        answer = [("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
        raise HandshakeError(426, f"Only WebSocket protocol version {VERSION} is supported", answer)


def _check_key(lines: Lines) -> str:
    # 4.2.1, item 5: "a base64-encoded value that, when decoded, is 16 bytes in length".
    key = _single(lines, "Sec-WebSocket-Key")
    if key is None:
        raise HandshakeError(400, "Sec-WebSocket-Key header missing in the upgrade request")
    if _KEY.fullmatch(key) is None:
        raise HandshakeError(400, "Sec-WebSocket-Key header in the upgrade request is not 16 bytes in base64")
    return key


def _check_origin(lines: Lines, host: str, allowed: Sequence[str] | str | None, listed: str) -> None:
    # 4.2.2, item 4: "If the server does not wish to accept this connection, it MUST return an appropriate
    # HTTP error code (e.g., 403 Forbidden)". 10.2: a client that sends no origin is not a browser.
    origin = _single(lines, "Origin")
    if origin is not None and not origin_allowed(origin, host, allowed):
        raise ForeignOriginError(origin, host, by_host=allowed is None, listed=listed)


def _choose_subprotocol(lines: Lines, spoken: Sequence[str]) -> str | None:
    # 4.2.1, item 8: "a list of values indicating which protocols the client would like to speak, ordered by
    # preference"; 11.3.4: it may be split over several lines. Repeated values do no harm and are accepted.
    # Clients that were given an empty list send an empty field, which means none.
    values = lines.get("Sec-WebSocket-Protocol")
    offered = [] if values is None else list_members(values)
    if not offered:
        return None
    # 4.2.1: on "any violations of the ABNF grammar [...] the server MUST stop processing"; 4.3: 1#token.
    if not all(map(is_token, offered)):
        raise HandshakeError(400, "Sec-WebSocket-Protocol header malformed in the upgrade request")
    # 4.2.2, item 5: "if the server does not wish to agree to one of the suggested subprotocols, it MUST NOT
    # send back a |Sec-WebSocket-Protocol| header field". The comparison is case-sensitive.
    known = frozenset(spoken)
    for subprotocol in offered:
        if subprotocol in known:
            return subprotocol
    return None


def _read_extensions(lines: Lines) -> list[ExtensionOffer]:
    # 9.1: for a value "that does not conform to the ABNF below, the recipient of such malformed data MUST
    # immediately _Fail the WebSocket Connection_", whether or not the service has any extension.
    values = lines.get("Sec-WebSocket-Extensions")
    if values is None:
        return []
    try:
        return parse_extensions(values)
    except ValueError as error:
        message = f"Sec-WebSocket-Extensions header malformed in the upgrade request, {error}"
        raise HandshakeError(400, message) from None


def _lists(lines: Lines, name: str, member: str) -> bool:
    values = lines.get(name)
    if values is None:
        return False
    alone = len(values) == 1 and values[0].lower() == member  # as most clients send it
    return alone or member in tokens(values)


def _single(lines: Lines, name: str) -> str | None:
    # 11.3.1 and 11.3.5: the key and the version "MUST NOT appear more than once in an HTTP request";
    # RFC 9112, 3.2 says the same of Host, and RFC 6454, 7.3 of Origin.
    values = lines.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise HandshakeError(400, f"{name} header repeated in the upgrade request")
    return values[0]


use_compiled(__name__, globals())
