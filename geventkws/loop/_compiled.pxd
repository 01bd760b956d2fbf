"""What other compiled modules may call in C: ``from geventkws.loop._compiled cimport Channel, Loop``."""

from libc.stdint cimport uint8_t

from geventkws.protocol._speedups cimport Endpoint


cdef class Loop:
    cdef readonly object hub
    cdef readonly object buffer
    cdef readonly unsigned long thread_id
    cdef readonly bint stops_at_errors
    cdef public bint corking
    cdef readonly double now
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef object _idle
    cdef list _corked
    cdef bint _flush_is_due
    cdef Py_ssize_t _references
    cdef object _fresh
    cdef object _waiting
    cdef double _turn_ends
    cdef double _spent
    cdef readonly object _poll
    cdef object __weakref__

    cdef bint c_is_foreign_thread(self)
    cpdef bint begin_turn(self) except -1
    cpdef end_turn(self)
    cpdef bint turn_is_over(self) except -1
    cpdef queue(self, queued, bint fresh=*)
    cdef bint _is_crowded(self) except -1
    cpdef take_turn(self)
    cdef int _grant_one(self, queue) except -1
    cpdef lend(self, borrower)
    cdef Py_ssize_t _count_references(self) except -1
    cpdef resume(self, waiter)
    cpdef cork(self, corked)
    cpdef flush_soon(self)
    cpdef flush(self)


cdef class Channel:
    cdef readonly Loop loop
    cdef readonly object transport
    cdef public object owner
    cdef readonly object paused_at
    cdef readonly object _reader
    cdef readonly object _writer
    cdef int _fd
    # Of one byte each: an idle connection keeps them all.
    cdef uint8_t _corked
    cdef uint8_t _queued
    cdef uint8_t _is_readable

    cpdef pause(self)
    cpdef resume(self)
    cdef bint _let_receive(self) except? True
    cpdef recv(self)
    cpdef queue(self, bint fresh=*)
    cpdef proceed(self)
    cpdef cork(self)
    cpdef flush(self)
    cpdef Py_ssize_t send(self, list chunks) except -1
    cdef Py_ssize_t _send_plain(self, list chunks) except -1
    cdef bint _is_pending(self) except -1
    cpdef await_room(self)
    cpdef has_room(self)
    cpdef release(self, bint reset=*)


cdef class Conversation:
    cdef public object service
    cdef public bint active
    cdef readonly Channel _channel
    cdef readonly Endpoint _endpoint
    cdef public object _receiver
    cdef public object _pinged_at
    cdef public object _pong
    cdef public object _rest
    cdef list _messages
    cdef Py_ssize_t _next
    cdef readonly Py_ssize_t _inbox_size
    cdef readonly Py_ssize_t _max_send_buffer
    cdef Py_ssize_t _max_inbox_size
    cdef Py_ssize_t _max_inbox_messages
    cdef readonly double _started_at
    cdef public double _heard_at
    cdef public double _stuck_since
    # Of one byte each: an idle connection keeps them all.
    cdef public uint8_t _greeted
    cdef public uint8_t _has_news
    cdef public uint8_t _working
    cdef public uint8_t _watches_output

    cdef bint c_readable(self) except? True
    cdef Py_ssize_t _receive(self) except -1
    cdef bint _receive_by_transport(self) except -1
    cpdef _proceed(self)
    cdef int _take_in(self, uint8_t* data, Py_ssize_t size, rest=*) except -1
    cdef object c_take(self, list events)
    cdef bint _inbox_is_full(self)
    cdef object c_go_to_work(self)
    cdef object c_next_message(self)
    cdef object c_flush(self)
