# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The compiled twin of the protocol's hot path: masking, UTF-8, frames and the endpoint.

It handles the frequent cases: text and binary messages in one masked frame with the shortest length form, and
control frames that have arrived whole. All other frames (fragments, compressed ones, any that break a rule) go to
the readable ``FrameParser``, so that each rule of RFC 6455 is written down once, in Python.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.limits cimport INT_MAX, UINT_MAX
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from geventkws.protocol import frames as _frames
from geventkws.protocol import opcodes as _opcodes
from geventkws.protocol import utf8 as _utf8
from geventkws.protocol.close import close_payload
from geventkws.protocol.close import Close as _Close
from geventkws.protocol.errors import ProtocolError as _ProtocolError
from geventkws.protocol.errors import invalid_text
from geventkws.protocol.messages import control_event

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX
    int PyBUF_READ
    object PyMemoryView_FromMemory(char*, Py_ssize_t, int)
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL

cdef enum:
    FINAL_TEXT = 0x81
    FINAL_BINARY = 0x82
    FINAL_CLOSE = 0x88
    FINAL_PONG = 0x8A
    OPCODE = 0x0F
    CONTROL = 0x08
    MASK = 0x80
    LENGTH = 0x7F
    LENGTH_16 = 126
    LENGTH_64 = 127
    MAX_HEAD_SIZE = 14
    MAX_LOOSE_CHUNKS = 256

cdef enum Head:
    INCOMPLETE
    FREQUENT
    RARE

cdef Py_ssize_t FIRST_CAPACITY = 256 * 1024  # of a payload that arrives in pieces; grows with what arrives
cdef Py_ssize_t GROWTH = 4  # bytes of memory for each byte that has arrived
cdef Py_ssize_t WORTH_RECEIVING_IN_PLACE = 16 * 1024
cdef Py_ssize_t MAX_COPY = 16 * 1024  # bytes copied at once where the frames, not the bytes, are limited
cdef int MAX_RARE_FRAMES = 16  # for the readable parser at once; then what is frequent is quick again
cdef Py_ssize_t JOINED_PAYLOAD = _frames.JOINED_PAYLOAD
cdef Py_ssize_t MAX_CONTROL_PAYLOAD = _opcodes.MAX_CONTROL_PAYLOAD
cdef uint64_t HIGH_BITS = 0x8080808080808080
cdef object NOT_UTF8 = _utf8.NOT_UTF8


# Masking (RFC 6455, 5.3)

cdef void unmask(uint8_t* to, const uint8_t* data, Py_ssize_t size, const uint8_t* key,
                 Py_ssize_t offset) noexcept nogil:
    """Write ``data`` XORed with the key to ``to``, which may be ``data``; ``offset`` bytes of the key were used."""
    cdef uint8_t turned[8]
    cdef uint64_t wide
    cdef uint64_t words[8]
    cdef Py_ssize_t i
    cdef int each
    for i in range(8):
        turned[i] = key[(offset + i) & 3]
    memcpy(&wide, turned, 8)
    i = 0
    while i + 64 <= size:  # reading a whole block before writing it lets the compiler use wide registers
        memcpy(words, data + i, 64)
        for each in range(8):
            words[each] ^= wide
        memcpy(to + i, words, 64)
        i += 64
    while i + 8 <= size:
        memcpy(words, data + i, 8)
        words[0] ^= wide
        memcpy(to + i, words, 8)
        i += 8
    while i < size:
        to[i] = data[i] ^ turned[i & 7]
        i += 1


def apply_mask(data, bytes masking_key, Py_ssize_t offset=0):
    """Return ``data``, from payload byte ``offset`` on, XORed with the repeated ``masking_key`` (4 bytes)."""
    cdef bytes source = bytes(data)
    if len(masking_key) != 4:
        raise ValueError("a masking key has 4 bytes")
    return unmasked(
        <const uint8_t*>PyBytes_AS_STRING(source), PyBytes_GET_SIZE(source),
        <const uint8_t*>PyBytes_AS_STRING(masking_key), offset,
    )


cdef bytes unmasked(const uint8_t* data, Py_ssize_t size, const uint8_t* key, Py_ssize_t offset):
    """Return ``data`` XORed with the repeated key, of which ``offset`` bytes were used."""
    cdef bytes result = PyBytes_FromStringAndSize(NULL, size)
    unmask(<uint8_t*>PyBytes_AS_STRING(result), data, size, key, offset)
    return result


# UTF-8 (RFC 3629, 4)

cdef bint is_utf8(Utf8State* state, const uint8_t* data, Py_ssize_t size) noexcept nogil:
    """Check the next piece of a text; return false as soon as a byte cannot belong to it."""
    cdef Py_ssize_t i = 0
    cdef uint64_t word
    cdef uint8_t byte
    while i < size:
        if not state.need:
            while i + 8 <= size:
                memcpy(&word, data + i, 8)
                if word & HIGH_BITS:
                    break
                i += 8
            while i < size and data[i] < 0x80:
                i += 1
            if i == size:
                break
            byte = data[i]
            state.low, state.high = 0x80, 0xBF
            if byte < 0xC2:
                return False
            elif byte < 0xE0:
                state.need = 1
            elif byte < 0xF0:
                state.need = 2
                if byte == 0xE0:
                    state.low = 0xA0
                elif byte == 0xED:
                    state.high = 0x9F
            elif byte < 0xF5:
                state.need = 3
                if byte == 0xF0:
                    state.low = 0x90
                elif byte == 0xF4:
                    state.high = 0x8F
            else:
                return False
        else:
            if not state.low <= data[i] <= state.high:
                return False
            state.need -= 1
            state.low, state.high = 0x80, 0xBF
        i += 1
    return True


cdef class Utf8Validator:
    """Checks text that arrives in pieces, and raises as soon as an invalid byte is fed."""

    cdef Utf8State _state

    def feed(self, bytes data not None):
        """Check the next piece; raises ``ProtocolError`` (1007) at the first invalid byte."""
        if not is_utf8(&self._state, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)):
            raise invalid_text(NOT_UTF8)


# Frames (RFC 6455, 5.2)

cdef bytes frame_of(int opcode, const char* payload, Py_ssize_t size):
    """Return a server's frame: head and payload."""
    cdef Py_ssize_t head_size = 2 if size < LENGTH_16 else 4 if size < 65536 else 10
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, head_size + size)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(frame)
    write_head(out, opcode, size)
    memcpy(out + head_size, payload, size)
    return frame


cdef Py_ssize_t write_head(uint8_t* out, int opcode, Py_ssize_t size) noexcept:
    cdef int i
    out[0] = 0x80 | opcode
    if size < LENGTH_16:
        out[1] = <uint8_t>size
        return 2
    if size < 65536:
        out[1], out[2], out[3] = LENGTH_16, <uint8_t>(size >> 8), <uint8_t>size
        return 4
    out[1] = LENGTH_64
    for i in range(8):
        out[2 + i] = <uint8_t>(size >> (56 - 8 * i))
    return 10


def encode_frame(int opcode, bytes payload not None, *, bint fin=True):
    """Return a server's frame: head and payload."""
    if not fin:
        return _frames.encode_frame(opcode, payload, fin=False)
    return frame_of(opcode, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))


cdef Head read_head(const uint8_t* data, Py_ssize_t size, Py_ssize_t limit,
                    Py_ssize_t* length, Py_ssize_t* head_size) noexcept nogil:
    """Return whether the head at ``data`` is that of a frequent frame; if so, set ``length`` and ``head_size``."""
    cdef uint64_t wide = 0
    cdef int i
    if size < 2:
        return INCOMPLETE
    if not (FINAL_TEXT <= data[0] <= FINAL_BINARY or FINAL_CLOSE <= data[0] <= FINAL_PONG) or not data[1] & MASK:
        return RARE
    length[0] = data[1] & LENGTH
    head_size[0] = 6
    if data[0] & CONTROL:
        return FREQUENT if length[0] < LENGTH_16 and size >= 6 + length[0] else RARE
    if length[0] == LENGTH_16:
        head_size[0] = 8
        if size < 4:
            return INCOMPLETE
        length[0] = data[2] << 8 | data[3]
        if length[0] < LENGTH_16:
            return RARE
    elif length[0] == LENGTH_64:
        head_size[0] = 14
        if size < 10:
            return INCOMPLETE
        for i in range(8):
            wide = wide << 8 | data[2 + i]
        if wide < 65536 or wide > <uint64_t>limit:
            return RARE
        length[0] = <Py_ssize_t>wide
    if length[0] > limit:
        return RARE
    return FREQUENT if size >= head_size[0] else INCOMPLETE


@cython.no_gc  # its objects are never part of a cycle
cdef class FrameParser:
    """Turns a client's bytes, in whatever pieces they arrive, into events, as ``frames.FrameParser`` does."""

    def __cinit__(self, max_message_size, max_fragments, deflate=None):
        self.deflate = deflate
        self.max_message_size = min(max_message_size, PY_SSIZE_T_MAX)
        self.max_fragments = min(max_fragments, INT_MAX)

    def feed(self, data, int max_frames=INT_MAX):
        """Return the events that ``data`` completes, in the order of the wire; ``taken`` bytes were taken."""
        cdef list events = []
        cdef Py_ssize_t size = len(data), taken = 0
        cdef Py_ssize_t piece = size if max_frames == INT_MAX else MAX_COPY
        cdef bytearray copy
        if size > UINT_MAX:
            raise OverflowError("at most 4 GiB can be fed at once")
        while taken < size and max_frames > 0 and not self.done:
            copy = bytearray(data if size <= piece else data[taken:taken + piece])
            taken += self._feed(
                <uint8_t*>PyByteArray_AS_STRING(copy), PyByteArray_GET_SIZE(copy), events, &max_frames
            )
        self.taken = <unsigned int>(size if self.done else taken)
        return events

    cdef Py_ssize_t feed_in_place(self, uint8_t* data, Py_ssize_t size, list events, int max_frames) except -1:
        """Append to ``events`` what the bytes complete, as ``feed`` does; return how many bytes were taken.

        Text is unmasked in place.
        """
        return self._feed(data, size, events, &max_frames)

    cdef Py_ssize_t _feed(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1:
        cdef Py_ssize_t position = 0
        while position < size and left[0] > 0 and not self.done:
            if self.rare is not None:
                position += self._feed_rare(data + position, size - position, events, left)
            elif self.payload is not None:
                position += self._take_payload(data + position, size - position, events, left)
            else:
                position += self._take_head(data + position, size - position, events, left)
        return size if self.done else position

    cdef Py_ssize_t _take_head(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1:
        """Take a head, or the whole frame if it has arrived; return how many bytes that was."""
        cdef Py_ssize_t length = 0, head_size = 0, kept = self.head_size, added
        cdef uint8_t* head = data
        cdef Py_ssize_t known = size
        cdef Head kind
        if kept:
            added = min(size, MAX_HEAD_SIZE - kept)
            memcpy(self.head + kept, data, added)
            head, known = self.head, kept + added
        kind = read_head(head, known, self.max_message_size, &length, &head_size)
        if kind == INCOMPLETE:
            if not kept:
                memcpy(self.head, data, size)
            self.head_size = <uint8_t>known
            return size
        self.head_size = 0
        if kind == RARE:
            self.rare = _frames.FrameParser(self.max_message_size, self.max_fragments, self.deflate)
            if kept:  # less than a head, so no frame ends there
                self._feed_rare(self.head, kept, events, left)
            return 0
        memcpy(self.key, head + head_size - 4, 4)
        head_size -= kept
        if size - head_size >= length:
            if head[0] == FINAL_TEXT:
                unmask(data + head_size, data + head_size, length, self.key, 0)
                self._text(data + head_size, length, events)
            elif head[0] == FINAL_BINARY:
                events.append(unmasked(data + head_size, length, self.key, 0))
            elif head[0] != FINAL_PONG:
                self._control(head[0] & OPCODE, unmasked(data + head_size, length, self.key, 0), events)
            left[0] -= 1
            return head_size + length
        self._begin_payload(length, size - head_size, head[0] == FINAL_TEXT)
        return head_size

    cdef int _text(self, const uint8_t* data, Py_ssize_t size, list events) except -1:
        try:
            events.append(PyUnicode_DecodeUTF8(<char*>data, size, NULL))
        except UnicodeDecodeError:
            events.append(invalid_text(NOT_UTF8))
            self.done = True
        return 0

    cdef int _control(self, int opcode, bytes payload, list events) except -1:
        try:
            event = control_event(opcode, payload)
        except _ProtocolError as error:
            event = _ProtocolError(error.code, error.message)  # without a traceback that holds on to ``events``
        events.append(event)
        self.done = isinstance(event, (_Close, _ProtocolError))
        return 0

    cdef int _begin_payload(self, Py_ssize_t length, Py_ssize_t here, bint text) except -1:
        self.payload = PyBytes_FromStringAndSize(NULL, min(length, FIRST_CAPACITY + GROWTH * here))
        self.length, self.have, self.text = length, 0, text
        self.utf8.need = 0
        return 0

    cdef uint8_t* wanted(self, Py_ssize_t* room) except? NULL:
        """Return where to receive the rest of a long payload directly, or NULL if that is not worth it."""
        cdef Py_ssize_t capacity, more
        cdef bytes larger
        if self.payload is None or self.length - self.have < WORTH_RECEIVING_IN_PLACE:
            return NULL
        capacity = PyBytes_GET_SIZE(self.payload)
        if capacity - self.have < WORTH_RECEIVING_IN_PLACE and capacity < self.length:
            more = min(self.length, GROWTH * capacity)
            larger = PyBytes_FromStringAndSize(NULL, more)
            memcpy(PyBytes_AS_STRING(larger), PyBytes_AS_STRING(self.payload), self.have)
            self.payload, capacity = larger, more
        room[0] = capacity - self.have
        return <uint8_t*>PyBytes_AS_STRING(self.payload) + self.have

    cdef int took(self, Py_ssize_t size, list events) except -1:
        """Take ``size`` bytes that were received where ``wanted`` said."""
        return self._took(<const uint8_t*>PyBytes_AS_STRING(self.payload) + self.have, size, events)

    cdef int _took(self, const uint8_t* masked, Py_ssize_t size, list events) except -1:
        """Unmask ``size`` bytes into their place in the payload, which has room; they may already be there."""
        cdef uint8_t* data = <uint8_t*>PyBytes_AS_STRING(self.payload) + self.have
        cdef bytes payload
        unmask(data, masked, size, self.key, self.have)
        self.have += size
        if self.text and not is_utf8(&self.utf8, data, size):
            self.payload, self.done = None, True
            events.append(invalid_text(NOT_UTF8))
        elif self.have == self.length:
            payload, self.payload = self.payload, None
            if self.text:
                self._text(<const uint8_t*>PyBytes_AS_STRING(payload), self.length, events)
            else:
                events.append(payload)
        return 0

    cdef Py_ssize_t _take_payload(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1:
        cdef Py_ssize_t taken = min(size, self.length - self.have), capacity
        cdef bytes larger
        capacity = PyBytes_GET_SIZE(self.payload)
        if self.have + taken > capacity:
            capacity = min(self.length, max(GROWTH * capacity, self.have + taken))
            larger = PyBytes_FromStringAndSize(NULL, capacity)
            memcpy(PyBytes_AS_STRING(larger), PyBytes_AS_STRING(self.payload), self.have)
            self.payload = larger
        self._took(data, taken, events)
        if self.payload is None:
            left[0] -= 1
        return taken

    cdef Py_ssize_t _feed_rare(self, uint8_t* data, Py_ssize_t size, list events, int* left) except -1:
        """Let the readable parser take some frames, and drop it once it is between two messages."""
        cdef list more
        cdef Py_ssize_t taken
        view = PyMemoryView_FromMemory(<char*>data, size, PyBUF_READ)
        try:
            more = self.rare.feed(view, min(left[0], MAX_RARE_FRAMES))
        finally:
            view.release()  # a traceback may keep it longer than the bytes exist
        taken = self.rare.taken
        left[0] -= self.rare.frames_taken
        if more:
            events.extend(more)
            if isinstance(more[len(more) - 1], (_Close, _ProtocolError)):
                self.done = True
        if self.done or self.rare.at_rest:
            self.rare = None
        return taken


@cython.final
@cython.no_gc
cdef class Endpoint(FrameParser):
    """The server's side of a connection, without its socket: the twin of ``protocol.endpoint.Endpoint``."""

    @property
    def output(self):
        """The chunks to send."""
        return self.to_send()

    cpdef list to_send(self):
        """Return ``output``."""
        return [] if self.chunks is None else self.chunks

    def receive(self, data, int max_frames=INT_MAX):
        """Return the events that the peer's ``data`` completes; see ``FrameParser.feed``."""
        cdef list events = self.feed(data, max_frames)
        self.count(self.taken, events, 0)
        return events

    cdef Py_ssize_t receive_in_place(self, uint8_t* data, Py_ssize_t size, list events,
                                     int max_frames) except -1:
        """Append to ``events`` what the bytes complete; return how many were taken. See ``feed_in_place``."""
        cdef Py_ssize_t first = len(events), taken = self.feed_in_place(data, size, events, max_frames)
        self.count(taken, events, first)
        return taken

    cdef int received_wanted(self, Py_ssize_t size, list events) except -1:
        """Take ``size`` bytes received where ``wanted`` said, in which at most one frame ends."""
        cdef Py_ssize_t first = len(events)
        self.took(size, events)
        return self.count(size, events, first)

    cdef int count(self, Py_ssize_t size, list events, Py_ssize_t first) except -1:
        """Count received bytes, and the messages among ``events`` from index ``first`` on."""
        cdef Py_ssize_t i
        self.bytes_received += size
        for i in range(first, len(events)):
            event = events[i]
            if type(event) is str or type(event) is bytes:
                self.messages_received += 1
        return 0

    cdef int put(self, object chunk) except -1:
        if self.chunks is None:
            self.chunks = [chunk]
        else:
            self.chunks.append(chunk)
        self.output_size += len(chunk)
        self.loose += 1
        if self.loose == MAX_LOOSE_CHUNKS:
            self.join_loose()
        return 0

    cdef int join_loose(self) except -1:
        """Join the chunks that were added last."""
        cdef Py_ssize_t first = max(0, len(self.chunks) - MAX_LOOSE_CHUNKS)
        self.chunks[first:] = [b"".join(self.chunks[first:])]
        self.loose = 0
        return 0

    cpdef send_text(self, str text):
        """Send a text message, as ``send`` does; raises ``ValueError`` for one that is not Unicode."""
        cdef Py_ssize_t size
        cdef const char* payload = PyUnicode_AsUTF8AndSize(text, &size)
        if self.deflate is not None:
            self.send(1, payload[:size])
        elif not self.close_sent:
            self.messages_sent += 1
            self.put(frame_of(1, payload, size))

    cpdef send(self, int opcode, bytes payload, compress=None):
        """Send a text or binary message in one frame, compressed as ``Deflate.encode`` decides."""
        cdef Py_ssize_t size
        cdef uint8_t head[10]
        if self.close_sent:
            return
        self.messages_sent += 1
        if self.deflate is not None:
            opcode, payload = self.deflate.encode(opcode, payload, compress)
        size = PyBytes_GET_SIZE(payload)
        if size > JOINED_PAYLOAD:
            self.put(head[:write_head(head, opcode, size)])
            self.put(payload)
        else:
            self.put(frame_of(opcode, PyBytes_AS_STRING(payload), size))

    cpdef send_encoded(self, bytes frame):
        """Send an already encoded message (one frame for many connections)."""
        if not self.close_sent:
            self.messages_sent += 1
            self.put(frame)

    def ping(self, bytes payload not None=b""):
        """Send a ping; raises ``ValueError`` for a ``payload`` of more than 125 bytes (5.5)."""
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(
                f"a ping's payload must be at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}"
            )
        if not self.close_sent:
            self.put(frame_of(0x9, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)))

    def pong(self, bytes payload not None):
        """Answer a ping with its payload (5.5.3)."""
        if not self.close_sent:
            self.put(frame_of(0xA, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)))

    def close(self, code, str reason not None=""):
        """Send this side's only close frame: to start the closing handshake, to answer, or to fail."""
        cdef bytes payload = close_payload(code, reason)
        if not self.close_sent:
            self.put(frame_of(0x8, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)))
            self.close_sent = True

    cpdef sent(self, Py_ssize_t count):
        """Remove the first ``count`` bytes from ``output``: the transport has taken them."""
        cdef Py_ssize_t gone = 0, size
        self.bytes_sent += count
        self.output_size -= count
        if not self.output_size:
            self.chunks = None
            self.loose = 0
            return
        for chunk in self.chunks:
            size = len(chunk)
            if count < size:
                break
            count -= size
            gone += 1
        del self.chunks[:gone]
        if count:
            chunk = memoryview(self.chunks[0])
            self.chunks[0] = chunk[count:]
