"""What a connection goes through before its first request: the PROXY header, the limits, TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from geventkws.admission import Admission
from geventkws.http.context import AccessEntry
from geventkws.http.environ import Address
from geventkws.http.fields import server_line
from geventkws.http.forwarded import TrustedProxies
from geventkws.http.proxy_protocol import ProxyProtocolError, receive
from geventkws.http.response import plain_response
from geventkws.options import ServerOptions
from geventkws.stream import Stream
from geventkws.tls import TLSTransport, handshake
from geventkws.transport import PlainTransport

logger = logging.getLogger("geventkws.server")

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
        log_access: Callable[[AccessEntry], None],
    ) -> None:
        self._options = options
        self.ssl_context = ssl_context
        """With which the next handshake begins; ``None`` for plain connections."""
        self._log_access = log_access
        self._proxies = TrustedProxies(options.trusted_proxies)
        self._admission = Admission(
            options.max_connections, options.max_connections_per_address, self._proxies
        )
        self._turned_away = 0
        self.leave = self._admission.leave
        """To be called with the peer of each connection that was taken in, when it is over."""

    def take_in(self, stream: Stream, plain: PlainTransport, peer: Address) -> Address | None:
        """Make a new connection ready for its first request; return its peer, whom a PROXY header may tell.

        ``None`` if it is refused, and closed: it is no client's, or one too many.
        """
        try:
            if self._options.proxy_protocol:
                peer = self._proxied(stream, peer)
            admitted = self._admission.admit(peer)
            if not admitted and self._turned_away >= MAX_TURNED_AWAY:
                stream.close()
                return None
        except OSError as error:
            logger.debug("The connection of %s is refused: %s", peer, error)
            stream.close()
            return None
        except BaseException:
            stream.close()
            raise
        if not admitted:
            self._turn_away(stream, plain, peer)
            return None
        if not self._secure(stream, plain, peer):
            self.leave(peer)
            return None
        return peer

    def _proxied(self, stream: Stream, peer: Address) -> Address:
        if self._options.trusted_proxies and not self._proxies.trusts(peer):
            raise ProxyProtocolError("it does not come from a trusted proxy")
        stream.set_deadline(self._options.head_timeout)
        return receive(stream) or peer

    def _secure(self, stream: Stream, plain: PlainTransport, peer: Address) -> bool:
        """Complete the TLS handshake, if there is to be one, or close the connection; tell which."""
        if self.ssl_context is None:
            return True
        try:
            stream.transport = transport = TLSTransport(plain, self.ssl_context)
            handshake(stream, transport, self._options.handshake_timeout)
        except OSError as error:
            logger.debug("The TLS handshake of %s failed: %s", peer, error)
            # Only a peer that has asked for something gets an answer that a reset must not destroy.
            stream.close(None if isinstance(error, TimeoutError) else self._options.close_timeout)
            return False
        except BaseException:
            stream.close()
            raise
        return True

    def _turn_away(self, stream: Stream, plain: PlainTransport, peer: Address) -> None:
        """Tell a client that there are too many."""
        self._turned_away += 1
        try:
            if self._secure(stream, plain, peer):
                answer = plain_response(
                    503,
                    "There are too many connections",
                    [("Retry-After", str(RETRY_AFTER))],
                    server=server_line(self._options.server_header),
                )
                stream.set_deadline(_LAST_WORD)
                try:
                    stream.sendall((answer,))
                finally:
                    stream.close(_LAST_WORD)
                self._log_access(AccessEntry(peer, None, 503, 0))
        except OSError as error:
            logger.debug("%s was turned away and lost: %s", peer, error)
        finally:
            self._turned_away -= 1
