from geventkws.loop._c_loop cimport Loop as _Loop


cdef class Connections:
    cdef readonly dict peers
    cdef readonly _Loop loop
    cdef readonly double _interval
    cdef object _timer
    cdef readonly object _aging

    cpdef add(self, channel)
    cpdef remove(self, channel)
