cimport cython

from geventkws.loop cimport _c_roles as roles
from geventkws.loop cimport _c_leaf as leaf
from geventkws.loop._c_loop cimport Loop as _Loop

cdef Py_ssize_t BYTES_READ
cdef Py_ssize_t CROWDED_READ


@cython.final
cdef class Channel(roles.Corked):
    cdef readonly _Loop loop
    cdef readonly object transport
    cdef public roles.Owner owner
    cdef readonly object paused_at
    cdef readonly object _reader
    cdef readonly object _writer
    cdef readonly int _fd
    cdef readonly bint awaits_room
    cdef readonly bint is_open
    cdef readonly bint is_queued
    cdef public bint is_new
    cdef bint _corked
    cdef bint _is_readable
    cdef bint _is_muted

    cpdef use(self, transport)
    cpdef detach(self)
    cpdef attach(self, transport)
    cpdef begin_reading(self)
    cpdef start_reading(self)
    cpdef pause(self)
    cpdef resume(self)
    cdef _mute(self)
    @cython.locals(owner=roles.Owner)
    cdef _receive_before_error(self, bint received)
    cdef _restart_reader(self)
    cpdef Py_ssize_t receive(self, Py_ssize_t size) except -2
    @cython.locals(size=Py_ssize_t)
    cpdef bytes recv(self)
    cpdef queue(self, bint fresh=*)
    @cython.locals(owner=roles.Owner)
    cpdef proceed(self)
    cpdef cork(self)
    cpdef Py_ssize_t send(self, list chunks) except -1
    cpdef Py_ssize_t send_last(self, list chunks) except -1
    cpdef bint is_pending(self) except -1
    cpdef await_room(self)
    cpdef has_room(self)
    cpdef release(self, bint reset=*)
    cdef _stop_watching(self)
