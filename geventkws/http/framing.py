"""Where a message ends, and whether another may follow: decided here and nowhere else.

Request smuggling exploits disagreement about the lengths of messages, so everything whose length is not
beyond doubt is refused (RFC 9112, 6 and 9).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from geventkws.backend import use_compiled
from geventkws.http.errors import HTTPError
from geventkws.http.head import CHUNKED, RequestHead
from geventkws.protocol.field_index import FieldIndex
from geventkws.protocol.origin import parse_authority
from geventkws.protocol.tokens import tokens

SEVERAL_HOSTS = "The request has more than one Host header"

# At most 18 digits: less than an exabyte, which fits in 64 bits.
_LENGTH = re.compile(r"[0-9]{1,18}")

_DECISIVE = FieldIndex(
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "upgrade",
    "sec-websocket-key",
)


def frame_request(
    method: str, target: str, version: str, headers: tuple[tuple[str, str], ...]
) -> RequestHead:
    """Decide how the request with this head is framed.

    Raises ``HTTPError`` (400, 417, 501) if the head leaves that open, or open to interpretation.
    """
    lines = _DECISIVE.lines(headers)
    _check_host(lines.get("host", ()), version)
    if len(lines) == 1 and "host" in lines and version == "1.1":
        return RequestHead(method, target, version, headers)
    length = _body_length(lines, version)
    options = tokens(lines["connection"]) if "connection" in lines else []
    if version == "1.1":
        keep_alive = "close" not in options
    else:
        keep_alive = "keep-alive" in options and "close" not in options
    upgrade = False
    if "upgrade" in options and "upgrade" in lines:
        upgrade = "websocket" in tokens(lines["upgrade"])
        keep_alive = False
        if upgrade:
            _check_upgrade(method, length)
    expects_continue = "expect" in lines and _expects_continue(lines["expect"], version) and length != 0
    lost = not upgrade and "sec-websocket-key" in lines
    return RequestHead(method, target, version, headers, length, keep_alive, expects_continue, upgrade, lost)


def _check_host(hosts: Sequence[str], version: str) -> None:
    if len(hosts) > 1:
        raise HTTPError(400, SEVERAL_HOSTS)
    if not hosts:
        if version == "1.1":
            raise HTTPError(400, "Host header missing in the request")
    elif not valid_host(hosts[0]):
        raise HTTPError(400, "The Host header is malformed")


def valid_host(host: str) -> bool:
    """Return whether ``host`` is a valid host, with or without a port (RFC 9110, 7.2)."""
    return parse_authority(host) is not None


def _body_length(lines: dict[str, list[str]], version: str) -> int:
    lengths, codings = lines.get("content-length"), lines.get("transfer-encoding")
    if codings is not None:
        if lengths is not None:
            raise HTTPError(400, "The request has both Content-Length and Transfer-Encoding")
        if version != "1.1":
            raise HTTPError(400, "Transfer-Encoding is not defined in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != "chunked":
            raise HTTPError(501, "The only transfer coding supported is a single chunked")
        return CHUNKED
    if lengths is None:
        return 0
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise HTTPError(400, "The Content-Length header is malformed")
    return int(lengths[0])


def _check_upgrade(method: str, length: int) -> None:
    if method != "GET":
        raise HTTPError(400, "A WebSocket upgrade must be a GET request")
    if length != 0:
        raise HTTPError(400, "A WebSocket upgrade must not have a body")


def _expects_continue(values: Iterable[str], version: str) -> bool:
    expectations = tokens(values)
    if version != "1.1" or not expectations:
        return False
    if expectations != ["100-continue"]:
        raise HTTPError(417, "The only expectation supported is 100-continue")
    return True


# How the client knows where a body ends (RFC 9112, 6.3): plain numbers, since every response compares them.
NO_BODY = 0
"""There is no body, whatever the header fields say (HEAD, 101, 204, 304)."""
BY_LENGTH = 1
"""By a ``Content-Length``."""
BY_CHUNKS = 2
"""By the last chunk."""
BY_CLOSE = 3
"""By the end of the connection: HTTP/1.0 has no other way if the length is not known in advance."""


def frame_response(method: str, version: str, status: int, length: int | None) -> int:
    """Decide how the response to a request is framed; ``length`` in bytes, if it is known in advance."""
    if method == "HEAD" or status in (101, 204, 304):
        return NO_BODY
    if length is not None:
        return BY_LENGTH
    return BY_CHUNKS if version == "1.1" else BY_CLOSE


use_compiled(__name__, globals())
