cdef class Corked:
    cpdef flush(self)


cdef class Owner:
    cpdef bint _readable(self) except -1
    cpdef _proceed(self)
    cpdef _flush(self)
