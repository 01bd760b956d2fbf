cimport cython

from geventkws.http._c_context cimport HTTPContext as _HTTPContext
from geventkws.http._c_exchange cimport Exchange as _Exchange
from geventkws.http._c_head cimport RequestHead as _RequestHead
from geventkws.http._c_reader cimport RequestReader as _RequestReader
from geventkws.http._c_stream cimport Stream as _Stream
from geventkws.loop cimport _c_roles as roles
from geventkws.loop._c_channel cimport Channel as _Channel
from geventkws.loop._c_loop cimport Loop as _Loop

cdef int _HEAD, _WORK, _CLOSING, _OVER
cdef int NEXT, CLOSE, ABORT, LINGER, GIVEN


cdef class HTTPConnection(roles.Owner):
    cdef readonly _Channel channel
    cdef readonly _Stream stream
    cdef _HTTPContext _context
    cdef _Exchange _exchange
    cdef _RequestReader _reader
    cdef _RequestHead _head
    cdef object _peer
    cdef bint _trusted
    cdef bint _idle
    cdef bint _lingers
    cdef bint _dismissed
    cdef bint _probed
    cdef int _phase

    cpdef bint _readable(self) except -1
    cdef bint _has_read_enough(self) except -1
    @cython.locals(loop=_Loop, head=_RequestHead, owner=roles.Owner)
    cdef _go_on(self)
    @cython.locals(reader=_RequestReader, head=_RequestHead)
    cdef _RequestHead _next_head(self)
    @cython.locals(exchange=_Exchange)
    cdef _RequestHead _forwarded(self, _RequestHead head)
    cdef _overdue(self)
    cdef _dismiss(self, double now)
    cdef _look_for_client(self)
    cdef bint _has_had_time(self) except -1
    cdef _end_application(self)
    cdef _end_overdue_head(self)
    cdef _end(self, int after)
    cdef _close_now(self)
    cdef bint _closes_at_once(self) except -1
    cpdef _lost(self, error)
    cdef _over(self, bint reset=*)
