"""TLS records between a socket and OpenSSL, in readable Python: what runs for every message over TLS.

OpenSSL reads and writes two memory buffers, never the socket, so that the hub watches one plain descriptor
whatever TLS wants. Records waiting in a buffer do not make a descriptor readable, so they must all be read.
What OpenSSL itself has to send (tickets, key updates, alerts) leaves after every read, write and handshake
step.

``_c_tls_records.pyx`` is the compiled twin of this module.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from geventkws.backend import use_compiled
from geventkws.net.transport import Chunk, PlainTransport

MAX_PLAINTEXT = 16 * 1024
"""The most bytes of plaintext in a TLS record (RFC 8446, 5.1); small chunks are joined up to this size."""

MAX_CIPHERTEXT = MAX_PLAINTEXT + 5 + 256
"""The most bytes of a record, with its head and the most that encryption may add."""

MAX_RECEIVED = 64 * 1024
"""Bytes of ciphertext taken from the socket at once: memory for more would be mapped anew for each read."""

LEAST_RECEIVED = 8 * 1024
"""Where ``MAX_RECEIVED`` begins: records may hold nothing, and a key update of 27 bytes costs 30 µs."""

MAX_UNSENT = 256 * 1024
"""The most bytes that OpenSSL itself may have to send to a peer that does not read."""


class TLSRecords:
    """Plaintext in and out of ``tls``, which reads ``incoming`` and writes ``outgoing``."""

    __slots__ = ("_closing", "_incoming", "_most", "_outgoing", "_plain", "_tls", "_unsent")

    def __init__(
        self, plain: PlainTransport, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._plain = plain
        self._tls = tls
        self._incoming = incoming
        self._outgoing = outgoing
        self._unsent = b""
        self._most = LEAST_RECEIVED
        """The most bytes of ciphertext that the next receive takes: twice what the last one gave."""
        self._closing = False
        """Whether our ``close_notify`` has been sent: what still arrives is not decrypted."""

    @property
    def pending(self) -> bool:
        return bool(self._unsent)

    def recv_into(self, buffer: memoryview) -> int | None:
        """Read the records that are left over or, if there are none, those that arrive in one receive."""
        if self._closing:
            return self._plain.recv_into(buffer)
        count, tls, incoming, received = 0, self._tls, self._incoming, b""
        try:
            while count < len(buffer):
                if not (incoming.pending or tls.pending()):
                    # What is received now must fit into the buffer, because nothing would announce it later.
                    # One receive is enough: the descriptor stays readable, and asking OpenSSL in vain costs
                    # an exception.
                    room = len(buffer) - count - MAX_CIPHERTEXT
                    if count or received or room <= 0:
                        break
                    if (data := self._receive(min(room, self._most))) is None:
                        break
                    received = data
                try:
                    read: Any = tls.read(len(buffer) - count, buffer[count:])
                except ssl.SSLWantReadError:
                    continue  # a record that has not arrived completely
                if not read:  # how SSLObject reports a close_notify before we have sent ours
                    raise ssl.SSLZeroReturnError
                count += read
            if received:
                self._most = max(LEAST_RECEIVED, min(2 * count, MAX_RECEIVED))
            self._flush()
        except OSError as error:
            self._end_reading(count)
            if not count and not isinstance(error, (ssl.SSLZeroReturnError, ssl.SSLEOFError)):
                raise
            return count
        return count or None

    def _end_reading(self, count: int) -> None:
        """Send the alert that there may be; after ``count`` bytes, leave the end to the next read."""
        with suppress(OSError):
            self._flush()
        if count:
            # The end of TCP may be yet to come, so nothing else would announce the end of TLS.
            with suppress(OSError):
                self._plain.shutdown_read()

    def send(self, chunks: Sequence[Chunk]) -> int:
        if not self._flush():
            return 0
        sent = 0
        for record in records(chunks):
            sent += self._tls.write(record)
            if not self._flush():
                break
        return sent

    def _receive(self, size: int) -> bytes | None:
        """Read up to ``size`` bytes of ciphertext: ``b""`` at the peer's end, ``None`` if it would block."""
        self._flush()
        data = self._plain.recv(size)
        if data:
            self._incoming.write(data)
        elif data is not None:
            self._incoming.write_eof()
        return data

    def _flush(self) -> bool:
        """Offer the socket what OpenSSL has to send; return whether the socket took all of it."""
        if self._outgoing.pending:
            said = self._outgoing.read()
            self._unsent += said
            if len(self._unsent) > MAX_UNSENT:
                raise OSError(errno.ENOBUFS, "the peer provokes TLS records and does not read them")
        while self._unsent:
            sent = self._plain.send((self._unsent,))
            if not sent:
                return False
            self._unsent = self._unsent[sent:]
        return True


def records(chunks: Sequence[Chunk]) -> Iterator[Chunk]:
    """Yield the plaintext in pieces of up to one record each, with small chunks joined."""
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


use_compiled(__name__, globals())
