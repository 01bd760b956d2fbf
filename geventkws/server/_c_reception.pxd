from geventkws.loop._c_channel cimport Channel as _Channel
from geventkws.server._c_connections cimport Connections as _Connections


cdef class Reception:
    cdef readonly object options
    cdef public object ssl_context
    cdef public bint is_closing
    cdef readonly object proxies
    cdef readonly object warn_once
    cdef _Connections _connections
    cdef object _http
    cdef object _log_access
    cdef object _on_gone
    cdef object _nobody
    cdef Admission _admission
    cdef Py_ssize_t _turned_away

    cpdef bint register(self, channel) except -1
    cpdef bint admit(self, channel, peer) except -1
    cpdef begin(self, channel, peer)
    cpdef forget(self, _Channel channel)


cdef class Admission:
    cdef readonly Py_ssize_t connections
    cdef object _max_connections
    cdef object _max_per_address
    cdef object _proxies
    cdef readonly object _of_client

    cpdef bint admit(self, peer) except -1
    cpdef leave(self, peer)
    cdef _client(self, peer)
