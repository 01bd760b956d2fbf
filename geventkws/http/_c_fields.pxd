cdef class Fields:
    cdef public bint closes
    cdef public object content_length
    cdef public bytes encoded
    cdef public bint own_date
    cdef public bint own_server
