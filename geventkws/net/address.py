"""Who is at the other end of a connection."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = tuple[str, int] | str
"""A peer: host and port, or the path (mostly empty) of a Unix-domain socket."""

IPAddress = IPv4Address | IPv6Address


def parse_ip(text: str, kind: Callable[[str], IPAddress] = ip_address) -> IPAddress:
    """Return the IP address that a peer wrote, of the given ``kind``; see ``unmapped``.

    Raises ``ValueError`` for anything else. That includes an address with a scope (RFC 4007, 11), such as
    ``fe80::1%eth0``: it names an interface of the machine that wrote it, and Python takes any text for one.
    """
    if "%" in text:
        raise ValueError(f"{text!r} has a scope, which says nothing on another machine")
    return unmapped(kind(text))


def unmapped(address: IPAddress) -> IPAddress:
    """Return an address of IPv4 that is mapped into IPv6 as what it is: it is the same peer's."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def spelled(address: Address) -> str:
    """Return ``address`` for a log: ``host:port``, ``[host]:port`` for IPv6."""
    if isinstance(address, str):
        return address or "a Unix socket"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
