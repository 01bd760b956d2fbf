cimport cython

cdef int NO_BODY, BY_LENGTH, BY_CHUNKS, BY_CLOSE


@cython.locals(lines=dict, name=str, lower=str)
cpdef frame_request(str method, str target, str version, tuple headers)
cpdef int frame_response(str method, str version, int status, length) except -1
