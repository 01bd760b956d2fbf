cimport cython


cpdef bint is_token(text) except -1
@cython.locals(members=list)
cpdef list tokens(values)
