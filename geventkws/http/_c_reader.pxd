cimport cython

from geventkws.http._c_head cimport RequestHead as _RequestHead


cdef class RequestReader:
    cdef Py_ssize_t _blank
    cdef bytes _buffer
    cdef object _chunks
    cdef Py_ssize_t _left
    cdef Py_ssize_t _max_fields
    cdef Py_ssize_t _max_size
    cdef Py_ssize_t _max_target
    cdef Py_ssize_t _position
    cdef Py_ssize_t _searched

    cpdef feed(self, bytes data)
    cpdef bint has_more(self)
    cpdef Py_ssize_t buffered(self)
    cpdef bytes take_rest(self)
    @cython.locals(data=bytes, start=Py_ssize_t, end=Py_ssize_t, head=_RequestHead)
    cpdef _RequestHead head(self)
    cdef Py_ssize_t _skip_blank_lines(self) except -1
    cpdef bytes body(self, Py_ssize_t limit=*)


@cython.locals(end=Py_ssize_t, request_line=list, method=str, target=str, protocol=str)
cdef _RequestHead _parse(bytes data, Py_ssize_t max_fields, Py_ssize_t max_target)
cdef _check(bytes data, str method)
