"""TLS over a non-blocking socket: ``ssl.SSLObject`` between two memory buffers.

The socket is read and written here, never by OpenSSL, so that the hub watches one plain descriptor
whatever TLS wants: records that wait in a buffer do not make a descriptor readable. What OpenSSL has
to say for itself (tickets, key updates, alerts) leaves after every read, write and handshake step.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from geventkws.certificate import certificate_environ
from geventkws.stream import Stream
from geventkws.transport import Chunk, PlainTransport

MAX_PLAINTEXT = 16 * 1024
"""Bytes of plaintext in a TLS record (RFC 8446, 5.1); what is sent is joined up to it."""

MAX_CIPHERTEXT = MAX_PLAINTEXT + 5 + 256
"""Bytes of a record with its head and the most that encryption may add."""

MAX_RECEIVED = 64 * 1024
"""Bytes of ciphertext taken from the socket at once: more would be mapped, and unmapped, for each read."""

MAX_UNSENT = 256 * 1024
"""Bytes OpenSSL may have to say of its own accord to a peer that does not read."""

PLAIN_HTTP_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 55\r\nConnection: close\r\n\r\n"
    b"This port speaks TLS: write https:// or wss:// instead\n"
)


def server_context(certfile: str, keyfile: str | None = None) -> ssl.SSLContext:
    """Return a context for a server with a certificate: TLS 1.2 and up, ALPN ``http/1.1``.

    Raises ``OSError`` for a file that cannot be read, ``ssl.SSLError`` for one that is no certificate or key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation costs us far more than the client that asks for it.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certfile, keyfile)
    return context


def check_context(context: object) -> ssl.SSLContext:
    """Return ``context`` if it can serve, so that a mistake shows before a client connects.

    Raises ``TypeError`` if it is no ``ssl.SSLContext`` and ``ValueError`` if it is a client's.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl_context must be an ssl.SSLContext, not {context!r}")
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError(
            "ssl_context is a client's; make it with ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
        )
    context.sslobject_class = _Connection
    return context


class _Connection(ssl.SSLObject):
    """What a context's ``sni_callback`` is called with."""

    def _sslsock(self) -> _Connection:
        # gevent's ssl.SSLContext asks this of what a handshake is done on, since its sockets are wrapped.
        return self


class TLSTransport:
    """A TLS connection on a socket, seen from the server.

    All methods raise ``OSError`` (``ssl.SSLError`` is one) when the connection is lost or broken. A
    peer that ends TCP without TLS's ``close_notify`` is at its end all the same: HTTP and WebSocket
    both tell by themselves whether a message was cut off.
    """

    __slots__ = ("_closing", "_incoming", "_outgoing", "_plain", "_spoken", "_tls", "_unsent")
    secure = True

    def __init__(self, plain: PlainTransport, context: ssl.SSLContext) -> None:
        """Own ``plain``, whose peer is to start the handshake."""
        self._plain = plain
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._unsent: Chunk = b""
        self._spoken = False
        self._closing = False

    def fileno(self) -> int:
        return self._plain.fileno()

    @property
    def pending(self) -> bool:
        return bool(len(self._unsent))

    def handshake(self) -> bool:
        """Take the handshake as far as it goes now; return whether it is complete."""
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
        """Answer a peer that starts with a letter, and so with HTTP: a ClientHello starts with 22."""
        if data[:1].isalpha() and not self._spoken:
            self._unsent = PLAIN_HTTP_ANSWER
            raise ConnectionAbortedError(errno.ECONNABORTED, "the peer speaks plain HTTP")
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

    def recv_into(self, buffer: memoryview) -> int | None:
        """Read all there is: a buffer takes what was received and the records left from before."""
        if self._closing:
            return self._plain.recv_into(buffer)
        count, tls, incoming = 0, self._tls, self._incoming
        try:
            while count < len(buffer):
                if not (incoming.pending or tls.pending()):
                    # What is received now must fit into the buffer: nothing announces it later. Once is
                    # enough, for the descriptor stays readable; asking OpenSSL in vain costs an exception.
                    room = len(buffer) - count - MAX_CIPHERTEXT
                    if count or room <= 0 or self._receive(min(room, MAX_RECEIVED)) is None:
                        break
                try:
                    read: Any = tls.read(len(buffer) - count, buffer[count:])
                except ssl.SSLWantReadError:
                    continue  # a record that has not all arrived
                if not read:  # how SSLObject shows close_notify until ours is out
                    raise ssl.SSLZeroReturnError
                count += read
            self._flush()
        except OSError as error:
            self._end_reading(error, count)
            return count
        return count or None

    def _end_reading(self, error: OSError, count: int) -> None:
        """Raise ``error`` unless it is the peer's end; after ``count`` bytes, the next read is to tell."""
        with suppress(OSError):
            self._flush()  # an alert
        if count:
            # TCP's end may be still to come, so nothing else would announce TLS's.
            with suppress(OSError):
                self._plain.shutdown_read()
        elif not isinstance(error, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
            raise error

    def send(self, chunks: Sequence[Chunk]) -> int:
        if not self._flush():
            return 0
        sent = 0
        for record in _records(chunks):
            sent += self._tls.write(record)
            if not self._flush():
                break
        return sent

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
        """Say that nothing was cut off (RFC 8446, 6.1); the peer's answer is not waited for."""
        self._closing = True
        with suppress(ssl.SSLError):
            self._tls.unwrap()

    def _receive(self, size: int) -> bytes | None:
        """Take up to ``size`` bytes of ciphertext, ``b""`` at the peer's end; ``None`` if it would block."""
        self._flush()
        data = self._plain.recv(size)
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
        return data

    def _flush(self) -> bool:
        """Offer what OpenSSL has to send to the socket; return whether the socket took all of it."""
        if self._outgoing.pending:
            said = self._outgoing.read()
            self._unsent = bytes(self._unsent) + said if self._unsent else said
            if len(self._unsent) > MAX_UNSENT:
                raise OSError(errno.ENOBUFS, "the peer makes TLS talk and does not read")
        while len(self._unsent):
            sent = self._plain.send((self._unsent,))
            if not sent:
                return False
            self._unsent = self._unsent[sent:]
        return True


def _records(chunks: Sequence[Chunk]) -> Iterator[Chunk]:
    """Yield what is to be encrypted in pieces of up to a record, small chunks joined."""
    if len(chunks) == 1 and 0 < len(chunks[0]) <= MAX_PLAINTEXT:
        yield chunks[0]
        return
    small: list[Chunk] = []
    size = 0
    for chunk in chunks:
        if size + len(chunk) > MAX_PLAINTEXT:
            if small:
                yield b"".join(small)
            small, size = [], 0
            view = memoryview(chunk)
            while len(view) >= MAX_PLAINTEXT:
                yield view[:MAX_PLAINTEXT]
                view = view[MAX_PLAINTEXT:]
            chunk = view
        small.append(chunk)
        size += len(chunk)
    if size:
        yield b"".join(small)


def handshake(stream: Stream, transport: TLSTransport, timeout: float | None) -> None:
    """Complete the TLS handshake of the stream's ``transport`` within ``timeout`` seconds.

    Raises ``TimeoutError``, or another ``OSError`` if it fails. A peer that speaks plain HTTP gets an
    answer that says so.
    """
    stream.set_deadline(timeout)
    while not transport.handshake():
        if transport.pending:
            stream.wait_until_writable()
        else:
            stream.wait_until_readable()
    stream.sendall(())
