cdef class TLSRecords:
    cdef readonly object _plain
    cdef readonly object _tls
    cdef object _session
    cdef object _incoming
    cdef object _outgoing
    cdef public bytes _unsent
    cdef public bint _closing
    cdef Py_ssize_t _most
    cdef bint _is_drained

    cdef Py_ssize_t read_into(self, object buffer) except -2
    cdef Py_ssize_t write(self, list chunks) except -1
    cdef Py_ssize_t _receive_up_to(self, Py_ssize_t size) except -2
    cpdef bint _flush(self) except -1
