cimport cython

from geventkws.loop cimport _c_roles as roles
from geventkws.loop cimport _c_leaf as leaf
from geventkws.loop._c_channel cimport Channel as _Channel
from geventkws.loop._c_loop cimport Loop as _Loop
from geventkws.protocol._c_endpoint cimport Endpoint as _Endpoint
from geventkws.websocket cimport _c_intake as intake
from geventkws.websocket._c_delegate cimport Delegate as _Delegate
from geventkws.websocket._c_ending cimport Ending as _Ending
from geventkws.websocket._c_tally cimport Tally as _Tally

cdef int BINARY
cdef int MAX_FRAMES
cdef int OPEN
cdef Py_ssize_t MAX_TAKEN
cdef Py_ssize_t COMPRESSED_READ
cdef Py_ssize_t CROWDED_READ
cdef Py_ssize_t MAX_CIPHERTEXT
cdef Py_ssize_t UNWANTED

@cython.locals(size=Py_ssize_t)
cdef Py_ssize_t read_size(_Channel channel, bint compressed) except -1


cdef class Conversation(roles.Owner):
    cdef public object service
    cdef readonly _Channel _channel
    cdef readonly _Endpoint _endpoint
    cdef public _Delegate _lifecycle
    cdef public object _receiver
    cdef public object _pinged_at
    cdef public bytes _pong
    cdef public leaf.Buffer _rest
    cdef public _Tally _tally
    cdef public object _meter
    cdef public _Ending _ending
    cdef public tuple _farewells
    cdef public object _senders
    cdef list _inbox
    cdef Py_ssize_t _inbox_start
    cdef readonly Py_ssize_t _inbox_size
    cdef readonly double _started_at
    cdef public double _heard_at
    cdef public double _stuck_since
    cdef public bint active
    cdef public bint _working
    # Small fields side by side: an idle connection keeps them all.
    cdef public unsigned char _greeted
    cdef public unsigned char _has_news
    cdef public unsigned char _watches_output
    cdef public unsigned char _pulls
    cdef public unsigned char _scheduled
    cdef public unsigned char _state
    cdef public unsigned char _told

    @cython.locals(count=Py_ssize_t)
    cpdef bint _readable(self) except -1
    cdef bint _wants_more(self) except -1
    @cython.locals(count=Py_ssize_t, size=Py_ssize_t, in_place=bint, events=list)
    cdef Py_ssize_t _receive(self) except -1
    cpdef _take_rest(self)
    cdef _take_in(self, leaf.Buffer buffer, list events)
    cdef _take(self, list events)
    cpdef bint _has_enough(self) except -1
    cpdef bint _has_messages(self)
    cpdef _discard_inbox(self)
    @cython.locals(paused=double)
    cpdef _resume_reading(self)
    @cython.locals(due=bint)
    cpdef _go_to_work(self)
    @cython.locals(now=double)
    cpdef _work(self)
    @cython.locals(inbox=list, start=Py_ssize_t)
    cdef object _take_first(self)
    @cython.locals(sent=Py_ssize_t, last=bint, pending=bint)
    cpdef _flush(self)
