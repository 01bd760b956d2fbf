cimport cython

from geventkws.loop cimport _c_roles as roles
from geventkws.loop cimport _c_leaf as leaf

cdef double SLICE
cdef double TURN
cdef Py_ssize_t CROWD
cdef object DONE
cdef object LOAN
cdef object RETIRE


cdef class Loop:
    cdef readonly object hub
    cdef readonly leaf.Buffer buffer
    cdef readonly unsigned long thread_id
    cdef readonly bint stops_at_errors
    cdef public bint corking
    cdef readonly double now
    cdef object _idle
    cdef list _corked
    cdef bint _flush_is_due
    cdef Py_ssize_t _references
    cdef object _fresh
    cdef object _new
    cdef object _waiting
    cdef double _turn_ends
    cdef double _spent
    cdef readonly object _poll
    cdef readonly object lock
    cdef object _calls
    cdef readonly object _wakeup
    cdef object __weakref__

    cpdef bint is_foreign_thread(self)
    cpdef bint begin_turn(self)
    cpdef bint is_at_leisure(self) except -1
    cpdef end_turn(self)
    cpdef bint turn_is_over(self)
    cpdef bint ends_turn(self, double now)
    cpdef queue(self, queued, bint fresh=*, bint new=*)
    cdef bint _somebody_waits(self) except -1
    cpdef bint is_crowded(self) except -1
    cpdef wait_for_turn(self)
    cpdef take_turn(self)
    cdef _grant_one(self, queue)
    @cython.locals(references=Py_ssize_t)
    cpdef lend(self, borrower)
    cdef _idle_worker(self)
    cdef _new_worker(self)
    cdef bint _is_reusable(self, worker, Py_ssize_t references) except -1
    @cython.locals(references=Py_ssize_t)
    cdef Py_ssize_t _count_references(self) except -1
    cpdef resume(self, waiter)
    cpdef cork(self, corked)
    cpdef flush_soon(self)
    @cython.locals(corked=list, each=roles.Corked)
    cpdef flush(self)
