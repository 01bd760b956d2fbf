# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of ``leaf``, where the names are explained."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.ref cimport Py_REFCNT
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from geventkws.net._c_tls_records cimport TLSRecords

from geventkws.net.listeners import shown
from geventkws.net.transport import JOIN_MAX as _JOIN_MAX
from geventkws.net.transport import PlainTransport as _PlainTransport

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept
    object PyErr_SetFromErrno(object)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    cdef struct sockaddr:
        pass
    cdef struct sockaddr_storage:
        int ss_family
    int c_accept4 "accept4"(int fd, sockaddr* address, socklen_t* size, int flags)
    int AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_NONBLOCK
    ssize_t c_recv "recv"(int fd, void* buffer, size_t size, int flags)
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t c_send "send"(int fd, const void* buffer, size_t size, int flags)
    ssize_t c_sendmsg "sendmsg"(int fd, const msghdr* message, int flags)
    int c_shutdown "shutdown"(int fd, int how)
    int MSG_NOSIGNAL
    int SHUT_WR

cdef extern from *:
    """
    #ifndef MSG_MORE  /* where it is unknown, the end follows the last bytes in a packet of its own */
    #define MSG_MORE 0
    #endif
    """
    int MSG_MORE

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        pass
    cdef struct in6_addr:
        pass
    cdef struct sockaddr_in:
        in_addr sin_addr
        uint16_t sin_port
    cdef struct sockaddr_in6:
        in6_addr sin6_addr
        uint16_t sin6_port
    cdef enum:
        INET6_ADDRSTRLEN

cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)
    uint16_t ntohs(uint16_t port)

cdef extern from "<sys/un.h>" nogil:
    cdef struct sockaddr_un:
        char* sun_path

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void* iov_base
        size_t iov_len

cdef object PlainTransport = _PlainTransport

cdef enum:
    SMALL_CHUNK = 4 * 1024  # up to this many bytes, copying a chunk costs less than a vector of its own
    MAX_VECTORS = 64

cdef Py_ssize_t JOIN_MAX = _JOIN_MAX
cdef bytearray send_memory = bytearray(JOIN_MAX)
# Small chunks of one connection are joined here. The GIL protects it.
cdef uint8_t* send_buffer = <uint8_t*>PyByteArray_AS_STRING(send_memory)


cpdef double monotonic() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cpdef unsigned long thread_id() noexcept:
    return PyThread_get_thread_ident()


cpdef Py_ssize_t references(thing) noexcept:
    return Py_REFCNT(thing)


cdef class Buffer:
    def __init__(self, bytearray memory not None):
        self._view = memoryview(memory)  # keeps the memory alive, and where it is
        self.data, self.size = <uint8_t*>PyByteArray_AS_STRING(memory), PyByteArray_GET_SIZE(memory)
        self.start, self.end = 0, self.size

    cpdef Py_ssize_t receive(self, transport, int fd, Py_ssize_t size) except -2:
        cdef Py_ssize_t count
        size = min(size, self.size)
        if type(transport) is PlainTransport:
            count = c_recv(fd, self.data, size, 0)
            if count < 0 and errno != EAGAIN and errno != EINTR:
                PyErr_SetFromErrno(OSError)
        elif isinstance(transport, TLSRecords):
            count = (<TLSRecords>transport).read_into(self._up_to(size))
        else:
            received = transport.recv_into(self._up_to(size))
            count = -1 if received is None else received
        self.start, self.end = 0, max(0, count)
        return count

    cdef object _up_to(self, Py_ssize_t size):
        return self._view if size == self.size else self._view[:size]

    def view(self):
        return self._view[self.start:self.end]

    cpdef bytes copy(self):
        return PyBytes_FromStringAndSize(<char*>self.data + self.start, self.end - self.start)


def accept(listener):
    cdef sockaddr_storage address
    cdef socklen_t size = sizeof(address)
    cdef int fd = c_accept4(listener.fileno(), <sockaddr*>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
    if fd >= 0:
        return fd, peer_at(&address, size)
    if errno != EAGAIN and errno != EINTR and errno != ECONNABORTED:
        PyErr_SetFromErrno(OSError)
    return None


cdef peer_at(sockaddr_storage* address, socklen_t size):
    """Return what ``shown`` makes of the address that Python's sockets would return."""
    cdef char text[INET6_ADDRSTRLEN]
    cdef char* path
    if address.ss_family == AF_INET:
        inet_ntop(AF_INET, &(<sockaddr_in*>address).sin_addr, text, sizeof(text))
        return text.decode("ascii"), ntohs((<sockaddr_in*>address).sin_port)
    if address.ss_family == AF_INET6:
        inet_ntop(AF_INET6, &(<sockaddr_in6*>address).sin6_addr, text, sizeof(text))
        return shown((text.decode("ascii"), ntohs((<sockaddr_in6*>address).sin6_port)))
    path = (<sockaddr_un*>address).sun_path
    name = path[:size - (path - <char*>address)]
    # The name of a file ends at a NUL, an abstract one begins with it (unix(7)).
    return shown(name if name.startswith(b"\0") else name.partition(b"\0")[0])


cpdef Py_ssize_t send(transport, int fd, list chunks) except -1:
    if type(transport) is PlainTransport:
        return send_plain(fd, chunks, 0) if chunks else 0
    if isinstance(transport, TLSRecords):
        return (<TLSRecords>transport).write(chunks)
    return transport.send(chunks)


cpdef Py_ssize_t send_last(transport, int fd, list chunks) except -1:
    cdef Py_ssize_t sent
    if type(transport) is not PlainTransport or not chunks:
        return send(transport, fd, chunks)
    sent = send_plain(fd, chunks, MSG_MORE)
    if sent == sum(map(len, chunks)):
        # Now, and not by closing: with input unread, that would discard what the kernel holds back.
        c_shutdown(fd, SHUT_WR)
    return sent


cdef Py_ssize_t send_plain(int fd, list chunks, int flags) except -1:
    cdef iovec vectors[MAX_VECTORS]
    cdef msghdr message
    cdef Py_ssize_t count
    cdef int used = gather(chunks, vectors)
    if used == 1:
        count = c_send(fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL | flags)
    else:
        memset(&message, 0, sizeof(message))
        message.msg_iov, message.msg_iovlen = vectors, used
        count = c_sendmsg(fd, &message, MSG_NOSIGNAL | flags)
    if count >= 0:
        return count
    if errno != EAGAIN and errno != EINTR:
        PyErr_SetFromErrno(OSError)
    return 0


cdef int gather(list chunks, iovec* vectors) except -1:
    """Point ``vectors`` at the first of ``chunks``, joining small ones; return the number of vectors."""
    cdef Py_buffer view
    cdef Py_ssize_t joined = 0, size
    cdef int used = 0
    cdef bint joins = False
    for chunk in chunks:
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        size = view.len
        if not joins or size > SMALL_CHUNK or joined + size > JOIN_MAX:
            if used == MAX_VECTORS:
                PyBuffer_Release(&view)
                break
            vectors[used].iov_base, vectors[used].iov_len = view.buf, 0
            used += 1
            joins = size <= SMALL_CHUNK and joined + size <= JOIN_MAX
            if joins:
                vectors[used - 1].iov_base = send_buffer + joined
        if joins:
            memcpy(send_buffer + joined, view.buf, size)
            joined += size
        vectors[used - 1].iov_len += size
        PyBuffer_Release(&view)  # the bytes stay where they are while the chunk is in the list
    return used


cpdef bint is_pending(transport) except -1:
    if type(transport) is PlainTransport:
        return False
    if isinstance(transport, TLSRecords):
        return len((<TLSRecords>transport)._unsent) > 0
    return transport.pending
