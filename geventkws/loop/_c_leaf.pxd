from libc.stdint cimport uint8_t

cimport cython


cpdef double monotonic() noexcept
cpdef unsigned long thread_id() noexcept
cpdef Py_ssize_t references(thing) noexcept
cpdef Py_ssize_t send(transport, int fd, list chunks) except -1
cpdef Py_ssize_t send_last(transport, int fd, list chunks) except -1
cpdef bint is_pending(transport) except -1


@cython.final
cdef class Buffer:
    cdef object _view
    cdef uint8_t* data
    cdef readonly Py_ssize_t size
    cdef public Py_ssize_t start
    cdef public Py_ssize_t end

    cpdef Py_ssize_t receive(self, transport, int fd, Py_ssize_t size) except -2
    cdef object _up_to(self, Py_ssize_t size)
    cpdef bytes copy(self)
