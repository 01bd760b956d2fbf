"""The PROXY protocol, versions 1 and 2: who is behind a proxy that passes bytes on (HAProxy's specification).

The proxy writes a header before the client's first byte, and before TLS. It is read to its last byte
and no further, since what follows belongs to another protocol.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from geventkws.net.address import IPAddress, parse_ip, unmapped
from geventkws.protocol.origin import MAX_PORT

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V1_START = b"PROXY "
_V1_LEAST = len(b"PROXY UNKNOWN\r\n")
_V1_MOST = 107
_V2_HEAD = 16
_V2_MOST = 4096
"""The most bytes that a version 2 header may have: more than it needs, less than it could claim."""

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class ProxyProtocolError(OSError):
    """A connection that does not start with a PROXY header."""


class ProxiedAddress(NamedTuple):
    """The client's address and port."""

    host: str
    port: int


def missing(data: bytes) -> int:
    """Return how many more bytes of the header that starts with ``data`` may be read: 0 if it is complete.

    Raises ``ProxyProtocolError`` as soon as ``data`` cannot be the start of one.
    """
    if SIGNATURE.startswith(data[: len(SIGNATURE)]):
        if len(data) < _V2_HEAD:
            # No header of version 1 is shorter than this either, if it turns out to be one.
            return (_V1_LEAST if not data else _V2_HEAD) - len(data)
        whole = _V2_HEAD + int.from_bytes(data[14:16], "big")
        if whole > _V2_MOST:
            raise ProxyProtocolError(f"the PROXY header is longer than {_V2_MOST} bytes")
        return whole - len(data)
    if not _V1_START.startswith(data[: len(_V1_START)]):
        raise ProxyProtocolError("the connection does not start with a PROXY header")
    if len(data) < _V1_LEAST:
        return _V1_LEAST - len(data)
    if data.endswith(b"\r\n"):
        return 0
    if len(data) >= _V1_MOST:
        raise ProxyProtocolError("the line of the PROXY header does not end")
    return 2 if not data.endswith(b"\r") else 1


def parse(data: bytes) -> ProxiedAddress | None:
    """Return the client's address from a complete header; ``None`` if the proxy gives none.

    Raises ``ProxyProtocolError`` for a malformed header.
    """
    try:
        return _parse_v2(data) if data.startswith(SIGNATURE) else _parse_v1(data)
    except ValueError as error:
        raise ProxyProtocolError(f"the PROXY header is malformed: {error}") from None


def _parse_v1(data: bytes) -> ProxiedAddress | None:
    line = data[:-2].decode("ascii")
    if line == "PROXY UNKNOWN" or line.startswith("PROXY UNKNOWN "):
        return None
    words = line.split(" ")
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("it is not 'PROXY TCP4|TCP6 source destination source-port destination-port'")
    _, family, source, destination, source_port, destination_port = words
    kind: type[IPAddress] = IPv4Address if family == "TCP4" else IPv6Address
    parse_ip(destination, kind)
    _port(destination_port)
    return ProxiedAddress(str(parse_ip(source, kind)), _port(source_port))


def _parse_v2(data: bytes) -> ProxiedAddress | None:
    command, family, body = data[12], data[13], data[_V2_HEAD:]
    if command == _LOCAL:
        return None
    if command != _PROXY:
        raise ValueError(f"version and command {command:#x} are not known")
    size = {_TCP4: 4, _TCP6: 16}.get(family)
    if size is None:
        return None
    if len(body) < 2 * size + 4:
        raise ValueError("it is too short for its addresses")
    source = unmapped(ip_address(body[:size]))
    return ProxiedAddress(str(source), int.from_bytes(body[2 * size : 2 * size + 2], "big"))


def _port(text: str) -> int:
    if not (text.isdecimal() and len(text) <= 5 and int(text) <= MAX_PORT):
        raise ValueError(f"{text!r} is not a port")
    return int(text)
