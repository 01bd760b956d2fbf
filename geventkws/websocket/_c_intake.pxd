from geventkws.loop._c_leaf cimport Buffer
from geventkws.protocol._c_endpoint cimport Endpoint


cpdef Py_ssize_t storage(message) except -1
cpdef parse(Endpoint endpoint, Buffer buffer, int max_frames, list events)
cpdef bint wants_rest(Endpoint endpoint, transport) except -1
cpdef Py_ssize_t receive_rest(Endpoint endpoint, transport, int fd, list events) except -3
