cimport cython

from geventkws.http._c_context cimport HTTPContext as _HTTPContext
from geventkws.http._c_head cimport RequestHead as _RequestHead
from geventkws.http._c_reader cimport RequestReader as _RequestReader
from geventkws.http._c_response cimport Response as _Response
from geventkws.http._c_stream cimport Stream as _Stream
from geventkws.loop._c_channel cimport Channel as _Channel
from geventkws.loop._c_loop cimport Loop as _Loop

cdef int _HEAD, _WORK, _CLOSING, _OVER, _TAKEN
cdef int _NEXT, _CLOSE, _ABORT, _LINGER, _GIVEN


cdef class HTTPConnection:
    cdef readonly _Channel channel
    cdef public _Stream stream
    cdef readonly _HTTPContext context
    cdef readonly object peer
    cdef public object remote_address
    cdef public object proxied
    cdef public object extra_environ
    cdef readonly object response
    cdef _RequestReader _reader
    cdef _RequestHead _head
    cdef object _greenlet
    cdef Py_ssize_t _requests_left
    cdef bint _trusted
    cdef bint _idle
    cdef bint _is_secure
    cdef bint _lingers
    cdef int _phase

    cpdef take(self)
    cpdef bint _readable(self) except -1
    cdef bint _has_read_enough(self) except -1
    @cython.locals(loop=_Loop, head=_RequestHead)
    cdef _go_on(self)
    @cython.locals(reader=_RequestReader, head=_RequestHead)
    cdef _RequestHead _next_head(self)
    cdef _overdue(self)
    cdef bint _has_had_time(self) except -1
    cdef _end_application(self)
    cdef _end_overdue_head(self)
    cdef _end(self, int after)
    cdef _close_now(self)
    cpdef _lost(self, error)
    cdef _over(self, bint reset=*)
    cdef _report(self, error)
    @cython.locals(head=_RequestHead)
    cdef int _serve(self) except -1
    @cython.locals(context=_HTTPContext, response=_Response)
    cdef int _answer(self, _RequestHead head) except -1
    @cython.locals(context=_HTTPContext)
    cdef _call(self, _RequestHead head, body, _Response response)
    cdef _run(self, application, dict environ, body, _Response response)
    cdef int _fail(self, _RequestHead head, _Response response, error) except -1
    cdef int _cut_off(self, _Response response) except -1
    cdef int _refuse(self, _RequestHead head, int status, message, headers=*) except -1
    cdef _log(self, _RequestHead head, int status, Py_ssize_t bytes_sent)
