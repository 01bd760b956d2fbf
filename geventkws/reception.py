"""Where a server's connections come in: counted, introduced, and handed to HTTP; or turned away."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from geventkws.admission import Admission
from geventkws.arrival import Arrival
from geventkws.backend import Channel
from geventkws.connections import Connections
from geventkws.farewell import Farewell
from geventkws.http.connection import HTTPConnection
from geventkws.http.context import AccessEntry, HTTPContext
from geventkws.http.environ import Address
from geventkws.http.forwarded import TrustedProxies
from geventkws.http.response import plain_response
from geventkws.options import ServerOptions

RETRY_AFTER = 10
"""Seconds after which a client that was turned away may come back."""

MAX_TURNED_AWAY = 64
"""Connections that are told at one time that they are too many; further ones are closed without a word."""

_LAST_WORD = 1.0
"""Seconds that such a connection has to take its answer."""


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
        """With which the next handshake begins; ``None`` for plain connections."""
        self.proxies = TrustedProxies(options.trusted_proxies)
        self._connections = connections
        self._http = http
        self._log_access = log_access
        self._on_gone = on_gone
        self._admission = Admission(
            options.max_connections, options.max_connections_per_address, self.proxies
        )
        self._turned_away = 0

    def take_in(self, channel: Channel, peer: Address) -> None:
        """Begin with a new connection. In the hub."""
        limit = self.options.max_connections
        if limit is not None and len(self._connections.peers) >= limit + MAX_TURNED_AWAY:
            channel.release()  # among them are those that have not said yet who they are
            return
        self._connections.peers[channel] = None
        if self.options.proxy_protocol or self.ssl_context is not None:
            Arrival(self, channel, peer)
        elif self.admit(channel, peer):
            self.begin(channel, peer)
        elif self.is_overrun:
            channel.release()
            self.forget(channel)
        else:
            self.turn_away(channel, peer)
        if channel.is_open:
            channel.start_reading()

    def admit(self, channel: Channel, peer: Address) -> bool:
        """Count the connection; ``False`` if it is one too many."""
        admitted = self._admission.admit(peer)
        if admitted:
            # An address that nobody counts is not kept: it would be a tenth of an idle connection.
            counted = self.options.max_connections_per_address is not None
            self._connections.peers[channel] = peer if counted else ""
        return admitted

    def begin(self, channel: Channel, peer: Address) -> None:
        """Let a connection that was admitted speak HTTP."""
        HTTPConnection(channel, self._http, peer)

    @property
    def is_overrun(self) -> bool:
        """Whether no further connection is told that it is one too many."""
        return self._turned_away >= MAX_TURNED_AWAY

    def turn_away(self, channel: Channel, peer: Address) -> None:
        """Tell a client that there are too many."""
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
        """Take a connection that is over out of the table and the count."""
        peer = self._connections.peers.pop(channel, None)
        if peer is not None:
            self._admission.leave(peer)
        self._on_gone()
