cimport cython

from geventkws.loop._c_channel cimport Channel as _Channel


cdef class Stream:
    cdef readonly _Channel channel
    cdef public double deadline
    cdef public double answer_by
    cdef public double stuck_since
    cdef public Py_ssize_t output_size
    cdef readonly list output
    cdef public object greenlet
    cdef readonly object receiver
    cdef readonly object sender
    cdef public bint ended
    cdef public int awaited
    cdef public double streams_since
    cdef public bint hurried
    cdef public bint is_given

    cpdef set_deadline(self, seconds)
    cpdef take_turn(self)
    cpdef bytes recv(self)
    cpdef forget_output(self)
    cpdef send_soon(self, bytes chunk)
    cpdef sendall(self, chunks)
    cpdef drain(self)
    cpdef wait_until_writable(self)
    @cython.locals(channel=_Channel, sent=Py_ssize_t)
    cpdef offer(self, bint last=*)
    cdef _wait(self, bint reads)
    cpdef wake(self)
    cpdef wake_receiver(self)
    cpdef wake_sender(self)


cpdef list unsent(chunks, Py_ssize_t sent)
