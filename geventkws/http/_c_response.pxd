cimport cython

from geventkws.http._c_fields cimport Fields as _Fields
from geventkws.http._c_head cimport RequestHead as _RequestHead
from geventkws.http._c_stream cimport Stream as _Stream


cdef int _SWITCHING


cdef class Response:
    cdef _Fields _fields
    cdef int _framing
    cdef object _length
    cdef object _may_persist
    cdef _RequestHead _request
    cdef bytes _server
    cdef bytes _status_line
    cdef _Stream _stream
    cdef object _timeout
    cdef public Py_ssize_t bytes_sent
    cdef public bint complete
    cdef public bint head_sent
    cdef public bint incomplete
    cdef public bint is_over
    cdef public bint keep_alive
    cdef public bint peer_gone
    cdef public object refusal
    cdef public int status
    cdef public object takeover

    cpdef bytes switch(self)
    cpdef send(self, body)
    @cython.locals(stream=_Stream)
    cdef _send_each(self, body)
    cdef _begin(self, body)
    cdef bint _is_decided(self) except -1
    cdef bint _is_taken(self) except -1
    cdef bint _is_late_switch(self, status) except -1
    cdef _check_switch(self)
    cdef _send_late_switch(self)
    cdef bint _send_file(self, file) except -1
    cdef _let_send(self, int descriptor, offset, end)
    cdef _finish(self, bytes last)
    @cython.locals(request=_RequestHead, fields=_Fields, framing=int, extra=bytes)
    cdef bytes _start(self)
    cdef bytes _start_switch(self)
    @cython.locals(framing=int, size=Py_ssize_t, left=Py_ssize_t)
    cdef _write(self, bytes head, bytes data, bint is_last=*)
    cdef _transmit(self, tuple chunks)
