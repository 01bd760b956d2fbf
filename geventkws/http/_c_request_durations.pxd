cimport cython

from geventkws.loop._c_durations cimport Durations as _Durations

cdef dict _PLACES
cdef Py_ssize_t _ELSEWHERE
cdef Py_ssize_t CLASSES


@cython.final
cdef class RequestDurations:
    cdef list _durations

    @cython.locals(place=Py_ssize_t, durations=_Durations)
    cpdef observe(self, str method, int status, double seconds)
