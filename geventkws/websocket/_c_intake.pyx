# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of ``intake``, which says what the names mean."""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t

from geventkws.loop._c_leaf cimport Buffer
from geventkws.protocol._c_endpoint cimport Endpoint

from geventkws.net.transport import PlainTransport as _PlainTransport

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    object PyErr_SetFromErrno(object)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buffer, size_t size, int flags)

cdef object PlainTransport = _PlainTransport

cdef enum:
    UNWANTED = -2


cpdef Py_ssize_t storage(message) except -1:
    if type(message) is bytes or PyUnicode_IS_ASCII(message):
        return len(message)
    return 4 * len(message)


cpdef parse(Endpoint endpoint, Buffer buffer, int max_frames, list events):
    buffer.start += endpoint.receive_in_place(
        buffer.data + buffer.start, buffer.end - buffer.start, events, max_frames
    )


cpdef bint wants_rest(Endpoint endpoint, transport) except -1:
    cdef Py_ssize_t room = 0
    return type(transport) is PlainTransport and endpoint.wanted(&room) is not NULL


cpdef Py_ssize_t receive_rest(Endpoint endpoint, transport, int fd, list events) except -3:
    cdef Py_ssize_t count, room = 0
    cdef uint8_t* place
    if type(transport) is not PlainTransport:
        return UNWANTED
    place = endpoint.wanted(&room)
    if place is NULL:
        return UNWANTED
    count = recv(fd, place, room, 0)
    if count > 0:
        endpoint.received_wanted(count, events)
    elif count < 0 and errno != EAGAIN and errno != EINTR:
        PyErr_SetFromErrno(OSError)
    return count
