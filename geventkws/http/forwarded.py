"""What trusted proxies say about a request: who sent it, with which scheme, and to which host and port.

Anybody may send the fields ``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Port``, and ``Forwarded``
(RFC 7239). They count only if the peer is a trusted proxy, and a chain of addresses counts only as far as
trusted proxies wrote it: the client is the rightmost address that is not that of a trusted proxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import NamedTuple, TypeVar

from geventkws.http.errors import HTTPError
from geventkws.http.head import RequestHead
from geventkws.net.address import Address, parse_ip
from geventkws.protocol.origin import DEFAULT_PORTS, MAX_PORT, parse_authority
from geventkws.protocol.tokens import TOKEN_CHARACTER

UNIX = "unix"
"""The entry that trusts every peer of a Unix-domain socket, which has no address."""

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

# [ forwarded-pair ], and what follows it (RFC 7239, 4; RFC 9110, 5.6.2 and 5.6.4)
_PAIR = re.compile(
    rf'[ \t]*(?:({TOKEN_CHARACTER}+)=(?:({TOKEN_CHARACTER}+)|"((?:[^"\\]|\\.)*)")[ \t]*)?(;|,|\Z)'
)
_QUOTED_PAIR = re.compile(r"\\(.)")

# node (RFC 7239, 6): a name, or an IPv6 address in brackets or, as some proxies write it, without; and a port
_NODE = re.compile(r"(?:\[([^\]]+)\]|([^:\[]*:[^:]*:.*)|([^:\[]*))(?::(.*))?")
_PORT = re.compile(r"[0-9]{1,5}")

_T = TypeVar("_T")


class TrustedProxies:
    """The proxies that are believed: addresses (``"10.0.0.7"``), networks (``"fd00::/8"``), ``"unix"``."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Trust these; raises ``ValueError`` for an entry that is neither an address nor a network."""
        entries = tuple(entries)
        self._unix = UNIX in entries
        self._networks = tuple(ip_network(entry) for entry in entries if entry != UNIX)

    def trusts(self, peer: Address) -> bool:
        """Return whether a connection's peer is a trusted proxy."""
        if isinstance(peer, str):
            return self._unix
        # The peer's own address comes from the kernel; its scope does not matter here.
        return bool(self._networks) and self._has(peer[0].partition("%")[0])

    def _has(self, host: str) -> bool:
        try:
            address = parse_ip(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def resolve(self, head: RequestHead, peer: Address) -> Forwarded:
        """Return what a trusted ``peer`` and the trusted proxies behind it say about a request.

        Raises ``HTTPError`` (400) if they contradict each other, or if what they say is malformed.
        """
        lines: dict[str, list[str]] = {}
        for name, value in head.headers:
            lines.setdefault(name.lower(), []).append(value)
        one, other = self._by_x_forwarded(lines), self._by_forwarded(lines)
        client = _agreed(one.client, other.client) or peer
        scheme, host = _agreed(one.scheme, other.scheme), _agreed(one.host, other.host)
        if host is not None and parse_authority(host) is None:
            raise HTTPError(400, "The host that the proxy forwards is malformed")
        if one.port is not None:
            host = _with_port(host or head.field("Host"), one.port, scheme)
        if host is not None:
            others = [pair for pair in head.headers if pair[0].lower() != "host"]
            head = head.with_headers((("Host", host), *others))
        return Forwarded(head, client, scheme, one.port)

    def _by_x_forwarded(self, lines: dict[str, list[str]]) -> Said:
        nodes = _listed(lines.get("x-forwarded-for"))
        position, client = self._client(nodes)
        schemes, hosts = _listed(lines.get("x-forwarded-proto")), _listed(lines.get("x-forwarded-host"))
        scheme = _SCHEMES.get((_beside(schemes, nodes, position) or "").lower())
        port = _beside(_listed(lines.get("x-forwarded-port")), nodes, position)
        if port is not None and not (_PORT.fullmatch(port) and 0 < int(port) <= MAX_PORT):
            raise HTTPError(400, "The port that the proxy forwards is malformed")
        return Said(client, scheme, _beside(hosts, nodes, position), port and str(int(port)))

    def _by_forwarded(self, lines: dict[str, list[str]]) -> Said:
        elements = parse_forwarded(", ".join(lines.get("forwarded", ())))
        if not elements:
            return Said()
        position, client = self._client([each.get("for", "") for each in elements])
        element = elements[position]
        return Said(client, _SCHEMES.get(element.get("proto", "").lower()), element.get("host"))

    def _client(self, nodes: list[str]) -> tuple[int, tuple[str, int] | None]:
        """Return the client's position in the chain, and its address.

        If a proxy hides the client or does not know it, the address is that of the last known proxy.
        """
        position, client = 0, None
        for position in range(len(nodes) - 1, -1, -1):
            node = parse_node(nodes[position])
            client = node or client
            if node is None or not self._has(node[0]):
                break
        return position, client


class Said(NamedTuple):
    """What one kind of fields says; ``None`` where it says nothing."""

    client: tuple[str, int] | None = None
    scheme: str | None = None
    host: str | None = None
    port: str | None = None


class Forwarded(NamedTuple):
    """A request as the client sent it to the outermost trusted proxy."""

    head: RequestHead
    """The head, with the ``Host`` that the client sent."""
    client: Address
    scheme: str | None
    """``"http"`` or ``"https"``; ``None`` if no proxy says."""
    port: str | None = None
    """The port that the client connected to; ``None`` if no proxy says."""

    @property
    def environ(self) -> dict[str, str]:
        """What replaces this server's own values in the environ of the request."""
        said = {"wsgi.url_scheme": self.scheme, "SERVER_PORT": self.port}
        return {key: value for key, value in said.items() if value is not None}


def parse_forwarded(text: str) -> list[dict[str, str]]:
    """Return the elements of ``Forwarded``, names in lower case (RFC 7239, 4).

    Raises ``HTTPError`` (400) for a malformed field: what the client sent comes first, and if it does not
    end properly, it would swallow what the proxy added.
    """
    elements: list[dict[str, str]] = []
    element: dict[str, str] = {}
    position, separator, has_pairs = 0, ",", False
    while separator:
        match = _PAIR.match(text, position)
        if match is None:
            raise HTTPError(400, "The Forwarded header is malformed")
        name, token, string, separator = match.groups()
        if name is not None:
            if name.lower() in element:
                raise HTTPError(400, f"An element of the Forwarded header has {name.lower()} twice")
            element[name.lower()] = token if string is None else _QUOTED_PAIR.sub(r"\1", string)
        # Pairs may be empty. An element of empty pairs counts: it comes from a proxy that says nothing.
        has_pairs = has_pairs or name is not None or separator == ";"
        if separator != ";":
            elements += [element] if has_pairs else []
            element, has_pairs = {}, False
        position = match.end()
    return elements


def parse_node(text: str) -> tuple[str, int] | None:
    """Return the address and port (0 if not given) of a node; ``None`` if it is hidden or malformed.

    ``192.0.2.1``, ``192.0.2.1:80``, ``[2001:db8::1]:80`` and, as some proxies write it, ``2001:db8::1``.
    """
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    try:
        address = parse_ip(match[1] or match[2] or match[3])
    except ValueError:
        return None
    known = _PORT.fullmatch(match[4] or "") and int(match[4]) <= MAX_PORT
    return str(address), int(match[4]) if known else 0


def _with_port(host: str | None, port: str, scheme: str | None) -> str | None:
    """Return a host with the port that the client connected to.

    A port that is already there comes from the client itself. The scheme's default port is left out.
    """
    authority = parse_authority(host or "")
    if host is None or authority is None or authority.port is not None:
        return host
    defaults = DEFAULT_PORTS.values() if scheme is None else (DEFAULT_PORTS[scheme],)
    return host if int(port) in defaults else f"{host.rstrip(':')}:{port}"


def _listed(lines: list[str] | None) -> list[str]:
    if lines is None:
        return []
    return [item for line in lines for piece in line.split(",") if (item := piece.strip(" \t"))]


def _beside(values: list[str], nodes: list[str], position: int) -> str | None:
    """Return the value from the proxy that wrote the node, if each proxy adds one; else the last value."""
    if not values:
        return None
    return values[position] if len(values) == len(nodes) else values[-1]


def _agreed(one: _T | None, other: _T | None) -> _T | None:
    """Return what both kinds of fields say: a proxy sets one kind, and the other may be from the client."""
    if one is None or other is None:
        return one if other is None else other
    # Only one of the two may give the port of an address.
    if one != other and not (isinstance(one, tuple) and isinstance(other, tuple) and one[0] == other[0]):
        raise HTTPError(400, "The Forwarded and the X-Forwarded header fields contradict each other")
    return one
