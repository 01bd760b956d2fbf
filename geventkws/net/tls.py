"""TLS over a non-blocking socket: contexts, the handshake and the end; ``tls_records`` has the rest."""

from __future__ import annotations

import errno
import ssl
from contextlib import suppress
from typing import Any

from geventkws.net.client_certificate import certificate_environ
from geventkws.net.key_pair import load_key_pair
from geventkws.net.tls_records import MAX_CIPHERTEXT, TLSRecords
from geventkws.net.transport import PlainTransport

PLAIN_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 55\r\nConnection: close\r\n\r\n"
    b"This port speaks TLS: write https:// or wss:// instead\n"
)


def server_context(certfile: str, keyfile: str | None = None) -> ssl.SSLContext:
    """Return a context for a server with a certificate: TLS 1.2 and later, ALPN ``http/1.1``.

    Raises the same errors as ``load_key_pair``.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation costs the server far more than the client that asks for it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    load_key_pair(context, certfile, keyfile)
    return context


def check_context(context: object) -> ssl.SSLContext:
    """Return ``context`` if a server can use it, so that a mistake shows before a client connects.

    Raises ``TypeError`` if it is not an ``ssl.SSLContext``, and ``ValueError`` if it is one for clients.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {context!r}")
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError(
            "ssl_context is for clients; make it with ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
        )
    context.sslobject_class = _Connection
    return context


class _Connection(ssl.SSLObject):
    """The object that a context's ``sni_callback`` is called with."""

    def _sslsock(self) -> _Connection:
        # gevent's ssl.SSLContext calls this, because gevent's own sockets are wrapped.
        return self


class PlainHTTPError(ConnectionAbortedError):
    """The peer speaks HTTP without TLS."""


class TLSTransport(TLSRecords):
    """A TLS connection on a socket, seen from the server.

    All methods raise ``OSError`` (``ssl.SSLError`` is one) when the connection is lost or broken. A peer that
    ends TCP without a TLS ``close_notify`` has ended its stream all the same: both HTTP and WebSocket can
    tell whether a message was cut off.
    """

    __slots__ = ("_spoken",)
    secure = True

    def __init__(self, plain: PlainTransport, context: ssl.SSLContext) -> None:
        """Own ``plain``, whose peer starts the handshake."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        super().__init__(plain, tls, incoming, outgoing)
        self._spoken = False

    def fileno(self) -> int:
        return self._plain.fileno()

    def handshake(self) -> bool:
        """Continue the handshake as far as possible now; return whether it is complete."""
        try:
            while True:
                try:
                    self._tls.do_handshake()
                except ssl.SSLWantReadError:
                    data = self._receive(MAX_CIPHERTEXT)
                    if data is None:
                        return False
                    self._check_greeting(data)
                else:
                    return True
        finally:
            self._flush()

    def _check_greeting(self, data: bytes) -> None:
        """Answer a peer that speaks HTTP: its first byte is a letter, while a ClientHello starts with 22."""
        if data[:1].isalpha() and not self._spoken:
            self._unsent = PLAIN_HTTP_ANSWER
            raise PlainHTTPError(errno.ECONNABORTED, "the peer speaks plain HTTP")
        self._spoken = True

    def environ(self) -> dict[str, Any]:
        cipher = self._tls.cipher()
        environ: dict[str, Any] = {
            "HTTPS": "on",
            "SSL_PROTOCOL": self._tls.version(),
            "SSL_CIPHER": cipher and cipher[0],
            "SSL_CLIENT_VERIFY": "NONE",
        }
        certificate, der = self._tls.getpeercert(), self._tls.getpeercert(binary_form=True)
        if certificate and der:
            environ |= certificate_environ(certificate, der)
        return environ

    def recv(self, size: int) -> bytes | None:
        buffer = bytearray(size)
        count = self.recv_into(memoryview(buffer))
        return None if count is None else bytes(buffer[:count])

    def probe(self) -> None:
        self._plain.probe()

    def is_gone(self) -> bool:
        return self._plain.is_gone()

    def shutdown_write(self) -> None:
        self._say_close_notify()
        self._flush()
        self._plain.shutdown_write()

    def close(self) -> None:
        if not self._closing:
            self._say_close_notify()
            with suppress(OSError):
                self._flush()
        self._plain.close()
        self._unsent = b""

    def abort(self) -> None:
        self._plain.abort()
        self._unsent = b""

    def _say_close_notify(self) -> None:
        """Tell the peer that nothing was cut off (RFC 8446, 6.1), without waiting for its answer."""
        self._closing = True
        with suppress(ssl.SSLError):
            self._tls.unwrap()
