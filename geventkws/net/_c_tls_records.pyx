# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of ``tls_records``, which explains the names.

It reads and writes the descriptor by system calls, and calls OpenSSL without a Python frame in between, and only
when necessary: after each call ``outgoing`` is empty, and what it held has been sent or is in ``_unsent``.
"""

from contextlib import suppress
from ssl import SSLEOFError, SSLWantReadError, SSLZeroReturnError

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, ENOBUFS, errno
from libc.stdint cimport uint8_t

from geventkws.net import tls_records as _readable

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    ssize_t send(int fd, const void* buffer, size_t size, int flags)
    int MSG_NOSIGNAL

cdef enum:
    MAX_RECEIVED = 64 * 1024
    LEAST_RECEIVED = 8 * 1024

cdef Py_ssize_t MAX_PLAINTEXT = _readable.MAX_PLAINTEXT
cdef Py_ssize_t MAX_CIPHERTEXT = _readable.MAX_CIPHERTEXT
cdef object records = _readable.records

cdef uint8_t ciphertext[MAX_RECEIVED]  # received here on its way to OpenSSL; used under the GIL


cdef class TLSRecords:
    """Plaintext in and out of ``tls``, which reads ``incoming`` and writes ``outgoing``."""

    def __init__(self, plain, tls, incoming, outgoing):
        self._plain = plain
        self._tls = tls
        self._session = tls._sslobj  # which the methods of ``ssl.SSLObject`` call
        self._incoming = incoming
        self._outgoing = outgoing
        self._unsent = b""
        self._most = LEAST_RECEIVED
        self._is_drained = False

    @property
    def pending(self):
        return bool(self._unsent)

    def recv_into(self, buffer):
        """Read the records that are left over or, if there are none, those that arrive in one receive."""
        cdef Py_ssize_t count = self.read_into(buffer)
        return None if count < 0 else count

    cdef Py_ssize_t read_into(self, object buffer) except -2:
        """Do the same as ``recv_into``, with -1 instead of ``None``."""
        cdef Py_ssize_t count = 0, read, received = 0, room, size = len(buffer)
        if self._closing:
            rest = self._plain.recv_into(buffer)
            return -1 if rest is None else rest
        try:
            while count < size:
                if self._is_drained:
                    room = size - count - MAX_CIPHERTEXT
                    if count or received or room <= 0:
                        break
                    received = self._receive_up_to(min(room, self._most))
                    if received < 0:
                        break
                try:
                    self._is_drained = False
                    read = self._session.read(size - count, buffer[count:] if count else buffer)
                except SSLWantReadError:
                    self._is_drained = True
                    continue
                if not read:
                    raise SSLZeroReturnError
                count += read
                # Fewer bytes than asked for mean the end of a record.
                self._is_drained = count < size and not self._incoming.pending
            if received > 0:
                self._most = max(LEAST_RECEIVED, min(2 * count, MAX_RECEIVED))
            self._flush()
        except OSError as error:
            self._end_reading(count)
            if not count and not isinstance(error, (SSLZeroReturnError, SSLEOFError)):
                raise
            return count
        return count or -1

    def _end_reading(self, Py_ssize_t count):
        with suppress(OSError):
            self._flush()
        if count:
            with suppress(OSError):
                self._plain.shutdown_read()

    def send(self, chunks):
        """Write as much of ``chunks`` as the socket takes now; return how many bytes that was."""
        return self.write(list(chunks))

    cdef Py_ssize_t write(self, list chunks) except -1:
        cdef Py_ssize_t sent = 0
        if self._unsent and not self._flush():
            return 0
        if len(chunks) == 1 and type(chunks[0]) is bytes and 0 < PyBytes_GET_SIZE(chunks[0]) <= MAX_PLAINTEXT:
            sent = self._session.write(chunks[0])
            self._flush()
            return sent
        for record in records(chunks):
            sent += self._session.write(record)
            if not self._flush():
                break
        return sent

    def _receive(self, Py_ssize_t size):
        """Read up to ``size`` bytes of ciphertext: ``b""`` at the peer's end, ``None`` if it would block."""
        cdef Py_ssize_t count = self._receive_up_to(min(size, MAX_RECEIVED))
        return None if count < 0 else PyBytes_FromStringAndSize(<char*>ciphertext, count)

    cdef Py_ssize_t _receive_up_to(self, Py_ssize_t size) except -2:
        """Do the same as ``_receive``, but return the count; -1 if it would block."""
        cdef Py_ssize_t count
        if self._unsent:
            self._flush()
        count = recv(self._plain._fd, ciphertext, size, 0)
        if count > 0:
            self._incoming.write(PyBytes_FromStringAndSize(<char*>ciphertext, count))
        elif not count:
            self._incoming.write_eof()
        elif errno != EAGAIN and errno != EINTR:
            raise OSError(errno, "the connection is lost")
        return count

    cpdef bint _flush(self) except -1:
        """Offer the socket what OpenSSL has to send; return whether the socket took all of it."""
        cdef Py_ssize_t sent
        if self._outgoing.pending:
            said = self._outgoing.read()
            self._unsent = said if not self._unsent else self._unsent + said
            if len(self._unsent) > _readable.MAX_UNSENT:
                raise OSError(ENOBUFS, "the peer provokes TLS records and does not read them")
        while PyBytes_GET_SIZE(self._unsent):
            sent = send(
                self._plain._fd, PyBytes_AS_STRING(self._unsent), PyBytes_GET_SIZE(self._unsent), MSG_NOSIGNAL
            )
            if sent < 0:
                if errno == EAGAIN or errno == EINTR:
                    return False
                raise OSError(errno, "the connection is lost")
            self._unsent = self._unsent[sent:]
        return True
