cimport cython
from libc.stdint cimport uint8_t

cdef struct Utf8State:
    uint8_t need
    uint8_t low
    uint8_t high


@cython.no_gc  # its objects are never part of a cycle
cdef class FrameParser:
    cdef Py_ssize_t max_message_size
    cdef object rare
    cdef readonly object deflate
    cdef bytes payload
    cdef Py_ssize_t length
    cdef Py_ssize_t have
    # Small fields side by side: an idle connection keeps them all.
    cdef int max_fragments
    cdef uint8_t key[4]
    cdef uint8_t head[14]
    cdef uint8_t head_size
    cdef uint8_t text
    cdef uint8_t done
    cdef Utf8State utf8
    cdef readonly unsigned int taken

    cdef Py_ssize_t feed_in_place(self, uint8_t* data, Py_ssize_t size, list events, int max_frames) except -1
    cdef Py_ssize_t _feed(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1
    cdef uint8_t* wanted(self, Py_ssize_t* room) except? NULL
    cdef int took(self, Py_ssize_t size, list events) except -1
    cdef int _took(self, const uint8_t* masked, Py_ssize_t size, list events) except -1
    cdef int _text(self, const uint8_t* data, Py_ssize_t size, list events) except -1
    cdef int _control(self, int opcode, bytes payload, list events) except -1
    cdef int _begin_payload(self, Py_ssize_t length, Py_ssize_t here, bint text) except -1
    cdef Py_ssize_t _take_payload(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1
    cdef Py_ssize_t _take_head(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1
    cdef Py_ssize_t _feed_rare(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1


@cython.final
@cython.no_gc
cdef class Endpoint(FrameParser):
    cdef list chunks
    cdef readonly Py_ssize_t output_size
    cdef readonly bint close_sent
    cdef int loose
    cdef readonly long long messages_received
    cdef readonly long long messages_sent
    cdef readonly long long bytes_received
    cdef readonly long long bytes_sent

    cdef Py_ssize_t receive_in_place(self, uint8_t* data, Py_ssize_t size, list events,
                                     int max_frames) except -1
    cdef int received_wanted(self, Py_ssize_t size, list events) except -1
    cdef int count(self, Py_ssize_t size, list events, Py_ssize_t first) except -1
    cdef int put(self, object chunk) except -1
    cdef int join_loose(self) except -1
    cpdef list to_send(self)
    cpdef send_text(self, str text)
    cpdef send(self, int opcode, bytes payload, compress=*)
    cpdef send_encoded(self, bytes frame)
    cpdef sent(self, Py_ssize_t count)
