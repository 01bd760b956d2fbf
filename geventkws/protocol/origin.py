"""The origin rule: which web pages may open a connection (RFC 6455, sections 4.2.2 and 10.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import NamedTuple

ANY_ORIGIN = "*"

MAX_CACHED = 260
"""The most characters of a host or an origin that is cached: the longest name in the DNS has 253."""

MAX_PORT = 65535

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

# uri-host [ ":" port ] (RFC 9110, 7.2; RFC 3986, 3.2.2). Five digits limit the cost of int().
_AUTHORITY = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+))"
    r"(?::(?P<port>[0-9]{0,5}))?"
)
# scheme "://" host [ ":" port ] (RFC 6454, 7.1)
_ORIGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+\-.]*)://(?P<authority>[^/]+)")


class Authority(NamedTuple):
    """A host in its normal form (lower case, IPv6 addresses compressed, no brackets) and a port, if given."""

    host: str
    port: int | None


class Origin(NamedTuple):
    """An origin in its normal form; a missing ``port`` is the scheme's default, or None if that has none."""

    scheme: str
    host: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """Return the host and the port of a ``Host`` field; None if it is malformed (RFC 9110, 7.2).

    An empty port counts as missing (RFC 3986, 3.2.3).
    """
    # Most requests name the same few hosts; texts longer than any name would only fill the cache.
    return _known_authority(text) if len(text) <= MAX_CACHED else _parse_authority(text)


def _parse_authority(text: str) -> Authority | None:
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > MAX_PORT:
        return None
    if match["ipv6"] is None:
        return Authority(match["name"].lower(), port)
    try:
        return Authority(IPv6Address(match["ipv6"]).compressed, port)
    except AddressValueError:
        return None


_known_authority = lru_cache(maxsize=512)(_parse_authority)


def parse_origin(text: str) -> Origin | None:
    """Return an ``Origin`` field in its normal form; None if it is malformed or ``null`` (RFC 6454, 7.1)."""
    return _known_origin(text) if len(text) <= MAX_CACHED else _parse_origin(text)


def _parse_origin(text: str) -> Origin | None:
    match = _ORIGIN.fullmatch(text)
    authority = parse_authority(match["authority"]) if match else None
    if match is None or authority is None:
        return None
    scheme = match["scheme"].lower()
    port = DEFAULT_PORTS.get(scheme) if authority.port is None else authority.port
    return Origin(scheme, authority.host, port)


_known_origin = lru_cache(maxsize=512)(_parse_origin)


def origin_allowed(origin: str, host: str, allowed: Sequence[str] | str | None = None) -> bool:
    """Return whether a page of ``origin`` may open a connection to ``host``.

    ``origin`` and ``host`` are the values of the request's header fields. A slash after the origin, which
    some clients other than browsers send, is ignored. ``allowed`` is one of these:

    - ``None``: host and port of the origin must be those of ``host``; a missing port, on either side, is the
      default of the origin's scheme;
    - ``"*"``: any origin may connect;
    - a list of origins, or a single one, in the form ``"https://example.com:8443"``. The case of scheme and
      host does not matter, and a default port may be left out. ``"null"`` allows the origin of that name.
    """
    if allowed == ANY_ORIGIN:
        return True
    own = parse_origin(origin.removesuffix("/"))
    if allowed is None:
        return own is not None and _same_host(own, host)
    listed = (allowed,) if isinstance(allowed, str) else allowed
    if own is None:
        # Files and the sandboxed frames of any site have this origin, so it must be allowed by name.
        return origin == "null" and "null" in listed
    return any(parse_origin(candidate) == own for candidate in listed)


def _same_host(origin: Origin, host: str) -> bool:
    authority = parse_authority(host)
    if authority is None or origin.port is None:
        return False
    port = DEFAULT_PORTS.get(origin.scheme) if authority.port is None else authority.port
    return (authority.host, port) == (origin.host, origin.port)
