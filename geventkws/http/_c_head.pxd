cdef class RequestHead:
    cdef readonly str method
    cdef readonly str target
    cdef readonly str version
    cdef readonly tuple headers
    cdef readonly Py_ssize_t body_length
    cdef readonly bint keep_alive
    cdef readonly bint expects_continue
    cdef readonly bint upgrade
    cdef readonly bint lost_upgrade
