cdef class Delegate:
    cdef readonly object host
    cdef readonly Py_ssize_t max_inbox_messages
    cdef readonly Py_ssize_t max_inbox_size
    cdef readonly Py_ssize_t max_send_buffer
