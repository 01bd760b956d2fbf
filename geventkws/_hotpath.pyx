# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""The compiled twin of ``hotloop`` and ``hotpath``: what is done for every message.

Names, attributes and hooks are those of the two, which say what they mean; what is different here is
how it is done. On a plain socket, ``recv`` and ``send`` are called on the descriptor, and the rest of a
long message is received where it is to stay. The compiled ``TLSRecords`` is called in C, and any other
transport as in ``hotpath``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_REFCNT
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from geventkws._tlsrecords cimport TLSRecords
from geventkws.protocol._speedups cimport Endpoint

from geventkws.hotloop import COMPRESSED_READ as _COMPRESSED_READ
from geventkws.hotloop import RECEIVE_BUFFER_SIZE, compressed_read
from geventkws.protocol.endpoint import encode_message
from geventkws.transport import PlainTransport
from geventkws.workers import DONE as _DONE
from geventkws.workers import LOAN as _LOAN
from geventkws.workers import RETIRE as _RETIRE
from geventkws.workers import Idler, Worker

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() noexcept
    bint PyUnicode_IS_ASCII(object)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t c_send "send"(int fd, const void* buffer, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int MSG_NOSIGNAL

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void* iov_base
        size_t iov_len

cdef object DONE = _DONE, LOAN = _LOAN, RETIRE = _RETIRE
cdef int READ = 1, WRITE = 2
cdef Py_ssize_t COMPRESSED_READ = _COMPRESSED_READ

cdef enum:
    BINARY = 0x2
    SEND_BUFFER_SIZE = 64 * 1024
    JOIN_MAX = 4 * 1024
    MAX_VECTORS = 64

cdef uint8_t send_buffer[SEND_BUFFER_SIZE]  # small frames of one connection are joined here; used under the GIL


cdef double monotonic() noexcept:
    """Return what ``time.monotonic`` does."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef Py_ssize_t storage(object message) except -1:
    """Return the bytes that a message takes at most: a ``str`` has up to four for a character."""
    if type(message) is bytes or PyUnicode_IS_ASCII(message):
        return len(message)
    return 4 * len(message)


cdef int gather(list chunks, iovec* vectors) except -1:
    """Point ``vectors`` at the first of ``chunks``, the small ones joined; return how many vectors that are."""
    cdef Py_buffer view
    cdef Py_ssize_t joined = 0, size
    cdef int used = 0
    cdef bint joins = False
    for chunk in chunks:
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        size = view.len
        if not joins or size > JOIN_MAX or joined + size > SEND_BUFFER_SIZE:
            if used == MAX_VECTORS:
                PyBuffer_Release(&view)
                break
            vectors[used].iov_base, vectors[used].iov_len = view.buf, 0
            used += 1
            joins = size <= JOIN_MAX and joined + size <= SEND_BUFFER_SIZE
            if joins:
                vectors[used - 1].iov_base = send_buffer + joined
        if joins:
            memcpy(send_buffer + joined, view.buf, size)
            joined += size
        vectors[used - 1].iov_len += size
        PyBuffer_Release(&view)  # its bytes stay where they are as long as the chunk is in the list
    return used


cdef class HotLoop:
    """One hub's idle worker, shared receive buffer and corked connections."""

    cdef readonly object hub
    cdef readonly object buffer
    cdef readonly unsigned long thread_id
    cdef readonly bint stops_at_errors
    cdef public bint corking
    cdef uint8_t* data
    cdef Py_ssize_t size
    cdef object _idle
    cdef list _corked
    cdef bint _flush_is_due
    cdef Py_ssize_t _references
    cdef object __weakref__

    def __init__(self, hub):
        cdef uint8_t[::1] view
        self.hub = hub
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER_SIZE))
        view = self.buffer  # the buffer is never resized: ``self.buffer`` holds it
        self.data, self.size = &view[0], view.shape[0]
        self.thread_id = PyThread_get_thread_ident()
        self.stops_at_errors = "libuv" in type(hub.loop).__module__
        self._corked = []

    cpdef bint is_foreign_thread(self):
        """Tell whether the caller runs in another thread than this loop's hub."""
        return PyThread_get_thread_ident() != self.thread_id

    cpdef lend(self, borrower):
        """Let ``borrower`` work in a greenlet; return when it is done or has blocked. In the hub."""
        cdef bint corking = self.corking
        cdef Py_ssize_t references
        if not self._references:
            self._references = self._count_references()
        worker, self._idle = self._idle, None
        if worker is None or worker.dead:
            worker = Worker(self.hub)
        self.corking = True
        try:
            result = worker.switch(LOAN, borrower)
            references = Py_REFCNT(worker)
        finally:
            self.corking = corking
        if result is not DONE:
            worker.away = True
        elif not worker.dead and not worker.__dict__ and references <= self._references:
            if worker.gr_context is not None:
                worker.gr_context = None
            self._idle = worker
        else:
            worker.switch(RETIRE)

    cdef Py_ssize_t _count_references(self) except -1:
        """Return how many references an untouched worker has: learnt from an empty batch."""
        cdef Py_ssize_t references
        worker = Worker(self.hub)
        result = worker.switch(LOAN, Idler())
        references = Py_REFCNT(worker)
        worker.switch(RETIRE)
        return references

    def resume(self, waiter):
        """Switch back into a greenlet that waits for a connection, corking what it sends. In the hub."""
        cdef bint corking = self.corking
        self.corking = True
        try:
            waiter.switch(None)
        finally:
            self.corking = corking

    cpdef cork(self, corked):
        """Flush ``corked`` when the running batch ends or blocks, or else in the hub's next turn."""
        self._corked.append(corked)
        if not self.corking:
            self.flush_soon()

    cpdef flush_soon(self):
        """Flush all corked connections in the hub's next turn."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self.hub.loop.run_callback(self._flush_when_due)

    cpdef flush(self):
        """Flush all corked connections."""
        cdef list corked
        while self._corked:
            corked, self._corked = self._corked, []
            for each in corked:
                if isinstance(each, Channel):
                    (<Channel>each).flush()
                else:
                    each.flush()

    def _flush_when_due(self):
        self._flush_is_due = False
        self.flush()


cdef class Channel:
    """A transport, an endpoint and a service, driven by one read watcher whose callback is the channel."""

    cdef public object service
    cdef public bint active
    cdef readonly HotLoop _loop
    cdef readonly object _transport
    cdef readonly Endpoint _endpoint
    cdef readonly object _reader
    cdef readonly object _writer
    cdef public object _receiver
    cdef public object _pinged_at
    cdef public object _paused_at
    cdef public object _pong
    cdef list _messages
    cdef Py_ssize_t _next
    cdef readonly Py_ssize_t _inbox_size
    cdef readonly Py_ssize_t _max_send_buffer
    cdef Py_ssize_t _max_inbox_size
    cdef Py_ssize_t _max_inbox_messages
    cdef readonly double started_at
    cdef public double _heard_at
    cdef public double _stuck_since
    cdef int _fd
    # Of one byte each: an idle connection keeps them all.
    cdef public uint8_t _greeted
    cdef public uint8_t _has_news
    cdef public uint8_t _working
    cdef public uint8_t _watches_output
    cdef uint8_t _corked

    def __init__(self, loop, transport, endpoint, service, options):
        self.service = service
        self.active = True
        self._loop = loop
        self._transport = transport
        self._endpoint = endpoint
        self._max_send_buffer = options.max_send_buffer
        self._max_inbox_size = options.max_inbox_size
        self._max_inbox_messages = options.max_inbox_messages
        self._has_news = True
        self.started_at = self._heard_at = monotonic()
        self._fd = transport.fileno() if type(transport) is PlainTransport else -1

    # Receiving (in the hub)

    def start_reading(self):
        """Watch the descriptor, from now until ``release``."""
        self._reader = self._loop.hub.loop.io(self._transport.fileno(), READ)
        self._start_reader()

    def _start_reader(self):
        if self._loop.stops_at_errors:
            self._reader.start(self, pass_events=True)
        else:
            self._reader.start(self)

    def __call__(self, int events=1):
        """Receive what has arrived: the read watcher's callback. Nothing is raised out of it."""
        cdef Py_ssize_t received, room = 0
        try:
            received = self._receive()
            if received == self._loop.size and self._reader is not None and self._paused_at is None:
                if self._endpoint.wanted(&room) is not NULL:
                    received = self._receive()  # the rest of a long message, which may be there already
            if events < 0:
                self._receive_before_error(received > 0)
            self._loop.flush()
        except BaseException as error:
            self.crashed(error)

    def _receive_before_error(self, bint received):
        """Receive on, until the error itself is received; if there is none, watch again."""
        while received and self._reader is not None and self._paused_at is None:
            received = self._receive() > 0
        if self._reader is not None and self._paused_at is None:
            self._reader.stop()
            self._start_reader()

    cdef Py_ssize_t _receive(self) except -1:
        """Take what there is now; return how many bytes that was."""
        cdef list events = []
        cdef Py_ssize_t count, room = 0
        cdef uint8_t* place
        if self._fd < 0:
            return self._receive_by_transport()
        place = self._endpoint.wanted(&room)
        if place is NULL:
            room = self._loop.size if self._endpoint.deflate is None else COMPRESSED_READ
            count = recv(self._fd, self._loop.data, room, 0)
        else:
            count = recv(self._fd, place, room, 0)
        if count < 0:
            if errno != EAGAIN and errno != EINTR:
                self.lost()
        elif not count:
            self.end_of_stream()
        else:
            self._heard_at = monotonic()
            self._pinged_at = None
            if place is NULL:
                self._endpoint.receive_in_place(self._loop.data, count, events)
            else:
                self._endpoint.received_wanted(count, events)
            if events:
                self.take(events)
        return max(0, count)

    cdef Py_ssize_t _receive_by_transport(self) except -1:
        cdef list events = []
        cdef Py_ssize_t count
        buffer = self._loop.buffer
        if self._endpoint.deflate is not None:
            buffer = buffer[:compressed_read(self._transport)]
        try:
            if isinstance(self._transport, TLSRecords):
                count = (<TLSRecords>self._transport).read_into(buffer)
            else:
                received = self._transport.recv_into(buffer)
                count = -1 if received is None else received
        except OSError:
            self.lost()
            return 0
        if count > 0:
            self._heard_at = monotonic()
            self._pinged_at = None
            self._endpoint.receive_in_place(self._loop.data, count, events)
            if events:
                self.take(events)
        elif not count:
            self.end_of_stream()
        if self._transport_is_pending():
            self.cork()
        return max(0, count)

    cdef bint _transport_is_pending(self) except -1:
        """Tell whether the transport has taken bytes that the socket has not."""
        if self._fd >= 0:
            return False
        if isinstance(self._transport, TLSRecords):
            return len((<TLSRecords>self._transport)._unsent) > 0
        return self._transport.pending

    cpdef take(self, list events):
        """Put messages into the inbox, hand the rest to ``handle``, and go to work."""
        for event in events:
            if type(event) is not str and type(event) is not bytes:
                self.handle(event)
            elif self.active:
                if self._messages is None:
                    self._messages, self._next = [event], 0
                else:
                    self._messages.append(event)
                self._inbox_size += storage(event)
        self.go_to_work()
        if self.active and self._inbox_is_full():
            self.pause_reading()

    cdef bint _inbox_is_full(self):
        if self._messages is None:
            return False
        return (
            len(self._messages) - self._next >= self._max_inbox_messages
            or self._inbox_size >= self._max_inbox_size
        )

    def has_messages(self):
        """Tell whether messages wait in the inbox."""
        return self._messages is not None

    def discard_inbox(self):
        """Forget the messages that the service will not be told of."""
        self._messages = None
        self._inbox_size = 0
        self.resume_reading()

    def pause_reading(self):
        """Leave what arrives in the kernel, which will slow the peer down. The idle clock stands still."""
        if self._paused_at is None and self._reader is not None:
            self._paused_at = monotonic()
            self._reader.stop()

    def resume_reading(self):
        """Read again after ``pause_reading``."""
        if self._paused_at is not None and self._reader is not None:
            paused = monotonic() - self._paused_at
            self._heard_at += paused
            if self._pinged_at is not None:
                self._pinged_at += paused
            self._paused_at = None
            self._start_reader()

    # The service (in a worker)

    cpdef go_to_work(self):
        """Let a worker, or the greenlet that waits in ``receive``, do what there is to do. In the hub."""
        cdef bint due = self._messages is not None or self._has_news
        if self._receiver is not None and (due or not self.active):
            receiver, self._receiver = self._receiver, None
            self._loop.resume(receiver)
            due = self._messages is not None or self._has_news
        if not self._working and due:
            self._working = True
            self._loop.lend(self)

    def work(self):
        """Tell the service all there is to tell. Raises nothing: ``failed`` sees to it."""
        while True:
            try:
                if self._messages is not None and self._greeted:
                    self.service.received(self.next_message(), self)
                elif self._has_news:
                    self.step()
                else:
                    break
            except BaseException as error:
                self.failed(error)
        self._working = False

    cpdef object next_message(self):
        """Take the first message out of the inbox, which is not empty; read on when there is room again."""
        message = self._messages[self._next]
        self._messages[self._next] = None
        self._next += 1
        self._inbox_size -= storage(message)
        if self._next == len(self._messages):
            self._messages = None
        elif self._next >= 256:
            del self._messages[:self._next]
            self._next = 0
        if self._paused_at is not None and not self._inbox_is_full():
            self.inbox_has_room()
        return message

    # Sending

    def send(self, message, as_binary=None, compress=None):
        """Send a message, see ``hotpath.Channel.send``."""
        cdef Endpoint endpoint = self._endpoint
        if endpoint.output_size >= self._max_send_buffer or self._loop.is_foreign_thread():
            opcode, payload = encode_message(message, as_binary)
            return self.send_later(opcode, payload, compress)
        if self.active and as_binary is None and endpoint.deflate is None:
            if type(message) is str:
                endpoint.send_text(message)
                self.cork()
                return True
            if type(message) is bytes:
                endpoint.send(BINARY, message)
                self.cork()
                return True
        opcode, payload = encode_message(message, as_binary)
        return self.send_now(opcode, payload, compress)

    def send_broadcast(self, message):
        """Send a message that goes to many connections, without ever waiting (see ``broadcast``)."""
        if self._endpoint.output_size >= self._max_send_buffer or self._loop.is_foreign_thread():
            return self.send_broadcast_later(message)
        if not self.active:
            return False
        self._endpoint.send_encoded(message.frame_for(self._endpoint.deflate))
        self.cork()
        return True

    def send_now(self, opcode, payload, compress=None):
        """Send without regard to the limit; ``False`` if the connection is no longer open."""
        if not self.active:
            return False
        self._endpoint.send(opcode, payload, compress)
        self.cork()
        return True

    cpdef cork(self):
        """Let the output leave when the running batch ends or blocks, with all that is added until then."""
        if not self._corked:
            self._corked = True
            self._loop.cork(self)

    def pong(self, payload):
        """Answer a ping; while the peer takes nothing, only its latest ping is answered (RFC 6455, 5.5.3)."""
        if self._writer is not None:
            self._pong = payload
        else:
            self._endpoint.pong(payload)
            self.cork()

    cpdef flush(self):
        """Offer the output to the socket; what it does not take waits for a write watcher. Never raises."""
        self._corked = False
        cdef Endpoint endpoint = self._endpoint
        cdef Py_ssize_t sent
        cdef bint pending
        if self._fd < 0 and self._transport.fileno() < 0:
            return
        try:
            while endpoint.chunks is not None or self._transport_is_pending():
                sent = self._send_chunks(endpoint.chunks)
                if sent:
                    endpoint.sent(sent)
                    if self._writer is not None:
                        self._stuck_since = monotonic()
                pending = self._transport_is_pending()
                if pending or (endpoint.chunks is not None and not sent):
                    self._wait_until_writable()
                    break
                if endpoint.chunks is None and self._pong is not None:
                    endpoint.pong(self._pong)
                    self._pong = None
            if self._writer is not None and endpoint.chunks is None and not self._transport_is_pending():
                self._stop_writer()
                if self._pinged_at is not None:
                    self._pinged_at = monotonic()  # the ping was behind what has only now left
            if self._watches_output:
                self.output_left()
        except BaseException as error:
            self.crashed(error)

    cdef Py_ssize_t _send_chunks(self, list chunks) except -1:
        """Write what the transport takes now of ``chunks``, if any; 0 if it would block. Raises ``OSError``."""
        if self._fd >= 0:
            return self._send_plain(chunks)
        if isinstance(self._transport, TLSRecords):
            return (<TLSRecords>self._transport).write(chunks or [])
        return self._transport.send(chunks or [])

    cdef Py_ssize_t _send_plain(self, list chunks) except -1:
        cdef iovec vectors[MAX_VECTORS]
        cdef msghdr message
        cdef Py_ssize_t count
        cdef int used = gather(chunks, vectors)
        if used == 1:
            count = c_send(self._fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL)
        else:
            memset(&message, 0, sizeof(message))
            message.msg_iov, message.msg_iovlen = vectors, used
            count = sendmsg(self._fd, &message, MSG_NOSIGNAL)
        if count >= 0:
            return count
        if errno == EAGAIN or errno == EINTR:
            return 0
        raise OSError(errno, "the connection is lost")

    def _wait_until_writable(self):
        if self._writer is None:
            self._stuck_since = monotonic()
            self._writer = self._loop.hub.loop.io(self._transport.fileno(), WRITE)
            self._writer.start(self._writable)

    def _writable(self):
        self.flush()
        try:
            self._loop.flush()
        except BaseException as error:
            self.crashed(error)

    def _stop_writer(self):
        writer, self._writer = self._writer, None
        writer.stop()
        writer.close()

    # The end

    def release(self):
        """Give up the watchers and close the descriptor, in this order. Idempotent."""
        if self._writer is not None:
            self._stop_writer()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
            reader.close()
        self._fd = -1
        self._transport.close()
