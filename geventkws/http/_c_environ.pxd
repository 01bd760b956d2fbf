cimport cython

from geventkws.http._c_head cimport RequestHead as _RequestHead


cdef class EnvironBuilder:
    cdef dict _base
    cdef readonly dict _keys

    @cython.locals(environ=dict, keys=dict, headers=tuple, before=Py_ssize_t, target=str, path=str, query=str)
    cpdef dict build(self, _RequestHead head, remote_address, body=*, proxied=*)
    cdef _join_lines(self, dict environ, tuple headers)
    cdef str _key(self, str name)
