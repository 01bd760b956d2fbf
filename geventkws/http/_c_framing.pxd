cimport cython

from geventkws.protocol._c_field_index cimport FieldIndex as _FieldIndex

cdef int NO_BODY, BY_LENGTH, BY_CHUNKS, BY_CLOSE
# Called in C: so this module, unlike that of the handshake, cannot be used beside readable ones.
cdef _FieldIndex _DECISIVE


@cython.locals(lines=dict, length=Py_ssize_t)
cpdef frame_request(str method, str target, str version, tuple headers)
cdef _check_host(hosts, str version)
cpdef bint valid_host(str host) except -1
@cython.locals(lengths=list, codings=list)
cdef Py_ssize_t _body_length(dict lines, str version) except -2
cdef _check_upgrade(str method, Py_ssize_t length)
cdef bint _expects_continue(values, str version) except -1
cpdef int frame_response(str method, str version, int status, length) except -1
