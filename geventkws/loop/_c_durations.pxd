cimport cython

cdef double BOUNDS[16]
cdef Py_ssize_t LIMITED


@cython.final
cdef class Durations:
    cdef long long _counts[17]
    cdef readonly double seconds

    @cython.locals(bucket=Py_ssize_t)
    cpdef observe(self, double seconds)
