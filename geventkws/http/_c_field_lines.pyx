# cython: language_level=3, boundscheck=False, wraparound=False
"""The compiled twin of ``field_lines``, where it is explained."""

from cpython.unicode cimport PyUnicode_DATA, PyUnicode_DecodeLatin1, PyUnicode_GET_LENGTH
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp

cdef enum:
    MAX_SHARED_NAMES = 512
    MAX_SHARED_NAME = 64  # bytes: clients choose the names, and long ones could fill the memory

# Most names come again and again. One that is here is not made anew, and has been hashed for the dictionaries
# in which it will be looked up. Each has one place, which it may lose to another.
shared_names = [""] * MAX_SHARED_NAMES
cdef list names = shared_names


cdef object name_of(const char* text, Py_ssize_t size):
    """Return the name of a field, decoded."""
    cdef uint32_t mixed = 2166136261  # FNV-1a
    cdef Py_ssize_t i
    if size > MAX_SHARED_NAME:
        return PyUnicode_DecodeLatin1(text, size, NULL)
    for i in range(size):
        mixed = (mixed ^ <uint8_t>text[i]) * 16777619
    cdef Py_ssize_t place = (mixed ^ mixed >> 16) % MAX_SHARED_NAMES
    name = names[place]
    if PyUnicode_GET_LENGTH(name) != size or memcmp(PyUnicode_DATA(name), text, size) != 0:
        name = names[place] = PyUnicode_DecodeLatin1(text, size, NULL)
    return name


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
            name = name_of(line, colon - line)
            colon += 1
            last = newline - 1  # the position after the value: the CR
            while colon < last and (colon[0] == c" " or colon[0] == c"\t"):
                colon += 1
            while colon < last and ((last - 1)[0] == c" " or (last - 1)[0] == c"\t"):
                last -= 1
            fields.append((name, PyUnicode_DecodeLatin1(colon, last - colon, NULL)))
        line = newline + 1
    return tuple(fields)
