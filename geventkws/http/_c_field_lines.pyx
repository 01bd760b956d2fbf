# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled twin of ``field_lines``, where it is explained."""

from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr


cpdef tuple cut_fields(bytes head, Py_ssize_t start, Py_ssize_t max_fields):
    cdef list fields = []
    cdef const char* line = <const char*>head + start
    cdef const char* end = <const char*>head + len(head) - 2
    cdef const char* newline
    cdef const char* colon
    cdef const char* last
    cdef Py_ssize_t count = 0
    while line < end:
        count += 1
        if count > max_fields:
            return None
        newline = <const char*>memchr(line, c"\n", end - line)
        colon = newline
        if newline is not NULL:
            colon = <const char*>memchr(line, c":", newline - line)
        if colon is NULL:
            raise ValueError("the head has a line without a colon")
        if memchr(line, c"_", colon - line) is NULL:
            name = PyUnicode_DecodeLatin1(line, colon - line, NULL)
            colon += 1
            last = newline - 1  # the position after the value: the CR
            while colon < last and (colon[0] == c" " or colon[0] == c"\t"):
                colon += 1
            while colon < last and ((last - 1)[0] == c" " or (last - 1)[0] == c"\t"):
                last -= 1
            fields.append((name, PyUnicode_DecodeLatin1(colon, last - colon, NULL)))
        line = newline + 1
    return tuple(fields)
