cimport cython

cdef int _PLAIN, _CONTENT_LENGTH, _CONNECTION, _HOP_BY_HOP, _DATE, _SERVER
cdef long _second
cdef bytes _date_line


cdef class Fields:
    cdef public bint closes
    cdef public object content_length
    cdef public bytes encoded
    cdef public bint own_date
    cdef public bint own_server

    cdef bint _keep(self, int meaning, str name, str value) except? -1
    cpdef bytes common(self, bytes server)


cpdef bytes date_line()
