cimport cython

from geventkws.loop cimport _c_leaf as leaf
from geventkws.loop._c_durations cimport Durations as _Durations
from geventkws.protocol._c_endpoint cimport Endpoint as _Endpoint


@cython.final
cdef class Totals:
    cdef readonly long long connections
    cdef readonly long long messages_received
    cdef readonly long long bytes_received
    cdef readonly long long messages_sent
    cdef readonly long long bytes_sent
    cdef readonly long long bytes_waiting

    cpdef add(self, _Endpoint endpoint)


@cython.final
cdef class Tally:
    cdef readonly _Durations callbacks
    cdef readonly Totals ended
    cdef public Totals open
    cdef readonly dict closed

    @cython.locals(now=double)
    cpdef double called(self, double began) except -1
