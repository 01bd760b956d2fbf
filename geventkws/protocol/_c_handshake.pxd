cimport cython


@cython.locals(lines=dict, answer=list)
cpdef negotiate(str method, str version, fields, service)
cdef _check_request_line(str method, str version)
cdef _check_host(dict lines)
cdef _check_upgrade(dict lines)
cdef _check_version(dict lines)
cdef _check_key(dict lines)
cdef _check_origin(dict lines, host, allowed, str listed)
cdef _choose_subprotocol(dict lines, spoken)
cdef list _read_extensions(dict lines)
@cython.locals(alone=bint)
cdef bint _lists(dict lines, str name, str member) except -1
@cython.locals(values=list)
cdef _single(dict lines, str name)
