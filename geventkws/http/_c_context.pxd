from geventkws.http._c_environ cimport EnvironBuilder as _EnvironBuilder
from geventkws.http._c_request_durations cimport RequestDurations as _RequestDurations


cdef class HTTPContext:
    cdef readonly _EnvironBuilder environ
    cdef public object application
    cdef readonly object on_upgrade
    cdef readonly object log_access
    cdef readonly object warn_once
    cdef public object start
    cdef public object on_over
    cdef public object on_refusal
    cdef public _RequestDurations request_durations
    cdef readonly object options
    cdef readonly object head_timeout
    cdef readonly object keepalive_timeout
    cdef readonly object body_timeout
    cdef readonly object request_timeout
    cdef readonly object close_timeout
    cdef readonly Py_ssize_t max_head_size
    cdef readonly object max_body_size
    cdef readonly bytes server_line
    cdef readonly object proxies
