"""Where a server's connections come in: they are counted and handed to HTTP, or turned away."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address

from geventkws.backend import use_compiled
from geventkws.http.connection import HTTPConnection
from geventkws.http.context import AccessEntry, HTTPContext
from geventkws.http.forwarded import TrustedProxies
from geventkws.http.plain import plain_response
from geventkws.loop.channel import Channel
from geventkws.loop.farewell import Farewell
from geventkws.loop.nobody import Nobody
from geventkws.net.address import Address
from geventkws.options import ServerOptions
from geventkws.server.connections import Connections

RETRY_AFTER = 10
"""Seconds after which a client that was turned away may come back."""

MAX_TURNED_AWAY = 64
"""How many clients at a time are told that there are too many; others are closed without a word."""

_LAST_WORD = 1.0
"""Seconds that such a client has to read its answer."""

_IPV6_NETWORK = 64
"""The bits of an IPv6 address that identify a client: within its network, it has any number of addresses."""


class Reception:
    """Takes in the connections of one server."""

    def __init__(
        self,
        options: ServerOptions,
        ssl_context: ssl.SSLContext | None,
        connections: Connections,
        http: HTTPContext,
        log_access: Callable[[AccessEntry], None],
        on_gone: Callable[[], None],
    ) -> None:
        """``on_gone`` is called after each connection that is over."""
        self.options = options
        self.ssl_context = ssl_context
        """The context of future handshakes; ``None`` for plain connections."""
        self.is_closing = False
        """Whether the server is stopping, so that new connections must be quick."""
        self.proxies = TrustedProxies(options.trusted_proxies)
        self.warn_once = http.warn_once
        self._connections = connections
        self._http = http
        self._log_access = log_access
        self._on_gone = on_gone
        self._nobody = Nobody(connections.loop)
        self._admission = Admission(
            options.max_connections, options.max_connections_per_address, self.proxies
        )
        self._turned_away = 0

    def register(self, channel: Channel) -> bool:
        """Put a new connection into the table; return ``False`` if there are far too many."""
        limit = self.options.max_connections
        # They include connections that have not yet said who they are.
        if limit is not None and len(self._connections.peers) >= limit + MAX_TURNED_AWAY:
            return False
        self._connections.add(channel)
        return True

    def admit(self, channel: Channel, peer: Address) -> bool:
        """Count the connection; return ``False`` if it is one too many."""
        admitted = self._admission.admit(peer)
        if admitted:
            # The address is kept only if it is counted: it would be a tenth of an idle connection.
            counted = self.options.max_connections_per_address is not None
            self._connections.peers[channel] = peer if counted else ""
        return admitted

    def begin(self, channel: Channel, peer: Address) -> None:
        """Let a connection that was admitted speak HTTP."""
        connection = HTTPConnection(channel, self._http, peer)
        if self.is_closing:
            connection._hurry()

    @property
    def is_overrun(self) -> bool:
        """Whether so many clients are being told that no others are."""
        return self._turned_away >= MAX_TURNED_AWAY

    def turn_away(self, channel: Channel, peer: Address) -> None:
        """Tell a client that there are too many, or close without a word if too many are being told."""
        if self.is_overrun:
            channel.release()
            self.forget(channel)
            return
        self._turned_away += 1
        answer = plain_response(
            503,
            "There are too many connections",
            [("Retry-After", str(RETRY_AFTER))],
            server=self._http.server_line,
        )
        self._log_access(AccessEntry(peer, None, 503, 0))
        Farewell(channel, _LAST_WORD, self._forget_turned_away, answer)

    def _forget_turned_away(self, channel: Channel) -> None:
        self._turned_away -= 1
        self.forget(channel)

    def forget(self, channel: Channel) -> None:
        """Take a connection that is over out of the table and out of the count."""
        peer = self._connections.remove(channel)
        channel.owner = self._nobody
        if peer is not None:
            self._admission.leave(peer)
        self._on_gone()


class Admission:
    """Counts a server's connections and limits their number."""

    def __init__(
        self, max_connections: int | None, max_per_address: int | None, proxies: TrustedProxies
    ) -> None:
        """``None`` is no limit. ``proxies`` are not counted by address, which is not the client's."""
        self._max_connections = max_connections
        self._max_per_address = max_per_address
        self._proxies = proxies
        self._of_client: Counter[str] = Counter()
        self.connections = 0
        """How many there are now."""

    def admit(self, peer: Address) -> bool:
        """Count a new connection; return ``False``, without counting it, if it is one too many."""
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
        """Stop counting a connection that ``admit`` has counted."""
        self.connections -= 1
        client = self._client(peer)
        if client is not None:
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    def _client(self, peer: Address) -> str | None:
        """Return the address that a peer is counted under; ``None`` if it is not counted."""
        if self._max_per_address is None or isinstance(peer, str) or self._proxies.trusts(peer):
            return None
        host = peer[0]
        if ":" not in host:
            return host
        return str(int(IPv6Address(host)) >> (128 - _IPV6_NETWORK))


use_compiled(__name__, globals())
