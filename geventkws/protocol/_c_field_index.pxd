cimport cython


cdef class FieldIndex:
    cdef dict _by_lower
    cdef readonly dict _known

    @cython.locals(lines=dict, known=dict)
    cpdef dict lines(self, fields)
    cdef _learn(self, name)
