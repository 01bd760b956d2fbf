"""How many connections there may be, in all and of one client: HTTP and WebSocket connections together."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address

from geventkws.http.environ import Address
from geventkws.http.forwarded import TrustedProxies

_IPV6_NETWORK = 64
"""Bits of an address that one client's network has in common: a client has as many addresses as it likes."""


class Admission:
    """The count of a server's connections and its limits, ``None`` for none."""

    def __init__(
        self, max_connections: int | None, max_per_address: int | None, proxies: TrustedProxies
    ) -> None:
        """Count no client of ``proxies`` by its address, since it is not the client's."""
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._proxies = proxies
        self._of_client: Counter[str] = Counter()
        self.connections = 0
        """How many there are now."""

    def admit(self, peer: Address) -> bool:
        """Count a new connection; ``False`` if it is one too many, which is then not counted."""
        if self._max_connections is not None and self.connections >= self._max_connections:
            return False
        client = self._client(peer)
        if client is not None and self._max_per_address is not None:
            if self._of_client[client] >= self._max_per_address:
                return False
            self._of_client[client] += 1
        self.connections += 1
        return True

    def leave(self, peer: Address) -> None:
        """Count out a connection that ``admit`` has counted."""
        self.connections -= 1
        client = self._client(peer)
        if client is not None:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    def _client(self, peer: Address) -> str | None:
        """Return what a peer is counted by; ``None`` if it is not counted."""
        if self._max_per_address is None or isinstance(peer, str) or self._proxies.trusts(peer):
            return None
        host = peer[0]
        if ":" not in host:
            return host
        return str(int(IPv6Address(host)) >> (128 - _IPV6_NETWORK))
