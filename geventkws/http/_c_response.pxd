cdef class Response:
    cdef object _fields
    cdef object _framing
    cdef object _length
    cdef object _may_persist
    cdef object _request
    cdef object _server
    cdef object _status_line
    cdef object _stream
    cdef object _timeout
    cdef public Py_ssize_t bytes_sent
    cdef public bint head_sent
    cdef public bint incomplete
    cdef public bint keep_alive
    cdef public bint peer_gone
    cdef public int status
