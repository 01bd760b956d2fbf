cimport cython

cdef int ABNORMAL, OURS, PEERS, RULE


@cython.final
cdef class Ending:
    cdef public object outcome
    cdef public object close_code
    cdef public object close_text
    cdef public object last_word
    cdef public object peers_text
    cdef public object deadline

    cpdef decide(self, int outcome)
    cdef _code_of(self, int outcome)
    cpdef close_frame(self, int outcome)
