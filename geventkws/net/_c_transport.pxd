cdef class PlainTransport:
    cdef readonly int _fd

    cpdef int fileno(self) except? -1
    cpdef close(self)
