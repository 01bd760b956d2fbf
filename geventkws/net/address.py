"""Who is at the other end of a connection."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = tuple[str, int] | str
"""A peer: host and port, or the path of a Unix-domain socket, which is mostly empty."""

IPAddress = IPv4Address | IPv6Address


def parse_ip(text: str, kind: Callable[[str], IPAddress] = ip_address) -> IPAddress:
    """Return the IP address that a peer wrote, of the given ``kind``; see ``unmapped``.

    Raises ``ValueError`` for anything else. This includes an address with a scope (RFC 4007, 11), such as
    ``fe80::1%eth0``: the scope names an interface of the machine that wrote it, and Python accepts any text.
    """
    if "%" in text:
        raise ValueError(f"{text!r} has a scope, which means nothing on another machine")
    return unmapped(kind(text))


def unmapped(address: IPAddress) -> IPAddress:
    """Return an IPv4-mapped IPv6 address as the IPv4 address that it stands for, and others unchanged."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def spelled(address: Address) -> str:
    """Return ``address`` for a log: ``host:port``, ``[host]:port`` for IPv6."""
    if isinstance(address, str):
        return address or "a Unix socket"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
