"""A connection before its first request: the PROXY header, then the TLS handshake."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

from geventkws.escape import escape
from geventkws.http.connection import FIRST_REQUEST
from geventkws.http.proxy_protocol import ProxyProtocolError, missing, parse
from geventkws.loop.channel import Channel
from geventkws.loop.farewell import Farewell
from geventkws.loop.transient import TransientOwner
from geventkws.net.address import Address, spelled
from geventkws.net.tls import PlainHTTPError, TLSTransport
from geventkws.server.reception import Reception

logger = logging.getLogger("geventkws.server")

SPEAKS_PLAIN_HTTP = (
    "A client speaks plain HTTP to a TLS port: write https:// or wss:// in its address, or make the server"
    " without a certificate"
)


def take_in(reception: Reception, channel: Channel, peer: Address) -> None:
    """Give a new connection its first owner, or turn it away. In the hub."""
    if not reception.register(channel):
        channel.release()
        return
    if reception.options.proxy_protocol or reception.ssl_context is not None:
        Arrival(reception, channel, peer)
    elif reception.admit(channel, peer):
        reception.begin(channel, peer)
    else:
        reception.turn_away(channel, peer)
    if channel.is_open:
        channel.begin_reading()


class Arrival(TransientOwner):
    """The first owner of a channel whose client has to introduce itself."""

    __slots__ = ("_deadline", "_header", "_is_admitted", "_peer", "_reception")

    def __init__(self, reception: Reception, channel: Channel, peer: Address) -> None:
        super().__init__(channel, reception.forget)
        self._reception = reception
        self._peer = peer
        self._is_admitted = False
        self._header: bytes | None = None
        """What has arrived of the PROXY header; ``None`` if none is expected."""
        self._deadline: float | None = None
        options = reception.options
        if not options.proxy_protocol:
            self._enter()
        elif options.trusted_proxies and not reception.proxies.trusts(peer):
            self._refuse(ProxyProtocolError("it does not come from a trusted proxy"))
        else:
            self._header = b""
            self._set_deadline(options.head_timeout)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._reception.is_closing:
            seconds = FIRST_REQUEST if seconds is None else min(seconds, FIRST_REQUEST)
        self._deadline = None if seconds is None else monotonic() + seconds

    def _readable(self) -> bool:
        if self._header is None:
            self._shake_hands()
            return False
        try:
            return self._receive_header(self._header)
        except OSError as error:
            self._refuse(error)
            return False

    def _receive_header(self, header: bytes) -> bool:
        data = self._channel.transport.recv(missing(header))
        if data is None:
            return False
        if not data:
            raise ProxyProtocolError("the connection ended within its PROXY header")
        self._header = header + data
        if not missing(self._header):
            self._peer = parse(self._header) or self._peer
            self._header = None
            self._enter()
        return True

    def _enter(self) -> None:
        """Count the connection. If it is one too many, the client is told so, over TLS if it expects that."""
        self._is_admitted = self._reception.admit(self._channel, self._peer)
        if not self._is_admitted and self._reception.is_overrun:
            self._over()
            return
        context = self._reception.ssl_context
        if context is None:
            self._greet()
            return
        self._set_deadline(self._reception.options.handshake_timeout)
        plain: Any = self._channel.transport
        self._channel.use(TLSTransport(plain, context))

    def _shake_hands(self) -> None:
        transport: Any = self._channel.transport
        try:
            complete = transport.handshake()
        except OSError as error:
            if isinstance(error, PlainHTTPError):
                self._reception.warn_once(SPEAKS_PLAIN_HTTP)
            logger.debug("The TLS handshake of %s failed: %s", self._peer, escape(error))
            # The peer is sent an alert, which a reset must not destroy.
            Farewell(self._channel, self._reception.options.close_timeout, self._reception.forget)
            return
        if transport.pending:
            self._channel.await_room()
        if complete:
            self._greet()

    def _greet(self) -> None:
        """Hand over to the owner that speaks HTTP; its first bytes may have arrived with the handshake."""
        if self._is_admitted:
            self._reception.begin(self._channel, self._peer)
        else:
            self._reception.turn_away(self._channel, self._peer)
        if self._channel.is_open:
            self._channel.owner._readable()

    def _refuse(self, error: OSError) -> None:
        logger.debug("The connection of %s is refused: %s", self._peer, escape(error))
        self._over()

    def _proceed(self) -> None:
        self._readable()

    def _flush(self) -> None:
        self._channel.send([])
        if not self._channel.is_pending():
            self._channel.has_room()
            self._shake_hands()

    def _hurry(self) -> None:
        end = monotonic() + FIRST_REQUEST
        self._deadline = end if self._deadline is None else min(self._deadline, end)

    def _is_busy(self) -> bool:
        return True

    def _describe(self) -> str:
        return f"{spelled(self._peer)} (has just connected)"

    def _check(self, now: float) -> None:
        if self._deadline is not None and now >= self._deadline:
            self._overdue(self._deadline)

    def _overdue(self, deadline: float) -> None:
        """End a wait that is too long, unless what was awaited has arrived by now."""
        self._channel.loop.begin_turn()
        while self._awaits(deadline) and self._readable():
            pass
        if self._awaits(deadline):
            self._refuse(TimeoutError("the peer took too long"))

    def _awaits(self, deadline: float) -> bool:
        """Return whether what was to come by the ``deadline`` is still to come."""
        channel = self._channel
        return channel.is_open and channel.owner is self and self._deadline == deadline
