cimport cython

from geventkws.http._c_context cimport HTTPContext as _HTTPContext
from geventkws.http._c_head cimport RequestHead as _RequestHead
from geventkws.http._c_reader cimport RequestReader as _RequestReader
from geventkws.http._c_request_durations cimport RequestDurations as _RequestDurations
from geventkws.http._c_response cimport Response as _Response
from geventkws.http._c_stream cimport Stream as _Stream
from geventkws.loop._c_channel cimport Channel as _Channel

cdef int NEXT, CLOSE, ABORT, LINGER, GIVEN


cdef class Exchange:
    cdef readonly _Stream stream
    cdef public object remote_address
    cdef public object proxied
    cdef public object extra_environ
    cdef readonly object response
    cdef readonly object takeover
    cdef public double began
    cdef _HTTPContext _context
    cdef _RequestReader _reader
    cdef Py_ssize_t _requests_left
    cdef bint _is_secure

    @cython.locals(channel=_Channel)
    cpdef take(self)
    cpdef int serve(self, _RequestHead head) except -1
    cdef int _serve(self, _RequestHead head) except -1
    @cython.locals(context=_HTTPContext, response=_Response)
    cdef int _answer(self, _RequestHead head) except -1
    @cython.locals(context=_HTTPContext)
    cdef _call(self, _RequestHead head, body, _Response response)
    cdef _run(self, application, dict environ, body, _Response response)
    cdef int _fail(self, _RequestHead head, _Response response, error) except -1
    cdef int _cut_off(self, _Response response) except -1
    cpdef int refuse(self, _RequestHead head, int status, message, headers=*) except -1
    @cython.locals(durations=_RequestDurations)
    cdef _log(self, _RequestHead head, int status, Py_ssize_t bytes_sent)
    cdef _log_access(self, _RequestHead head, int status, Py_ssize_t bytes_sent)
    cdef int _after_takeover(self, takeover, _RequestHead head, int after) except -1
    cdef _report(self, error)
