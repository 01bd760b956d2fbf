# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""The compiled twin of ``loop.loop``, ``loop.channel`` and ``websocket.conversation``, which say what the names mean.

What is different here is how it is done. On a plain socket, ``recv`` and ``send`` are called on the descriptor, and
the rest of a long message is received where it is to stay. The compiled ``TLSRecords`` is called in C, and any
other transport as in ``channel``.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.ref cimport Py_REFCNT
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from geventkws.net._tls_records cimport TLSRecords
from geventkws.protocol._speedups cimport Endpoint

from collections import deque

from gevent import getcurrent
from gevent.hub import Waiter

from geventkws.loop.channel import BYTES_READ as _BYTES_READ
from geventkws.websocket.conversation import MAX_FRAMES as _MAX_FRAMES
from geventkws.websocket.conversation import read_size
from geventkws.loop.loop import CROWD as _CROWD
from geventkws.loop.loop import CROWDED_READ as _CROWDED_READ
from geventkws.loop.loop import RECEIVE_BUFFER_SIZE
from geventkws.loop.loop import SLICE as _SLICE
from geventkws.loop.loop import TURN as _TURN
from geventkws.protocol.endpoint import encode_message
from geventkws.net.transport import PlainTransport
from geventkws.loop.workers import DONE as _DONE
from geventkws.loop.workers import LOAN as _LOAN
from geventkws.loop.workers import RETIRE as _RETIRE
from geventkws.loop.workers import Idler, Worker, is_away

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
cdef Py_ssize_t BYTES_READ = _BYTES_READ
cdef Py_ssize_t CROWDED_READ = _CROWDED_READ
cdef Py_ssize_t CROWD = _CROWD
cdef int MAX_FRAMES = _MAX_FRAMES
cdef double SLICE = _SLICE
cdef double TURN = _TURN

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
    """Return the bytes that a message takes at most: for each character of a ``str``, up to four."""
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


cdef class Loop:
    """One hub's idle worker, shared receive buffer, corked connections and ready queue."""

    def __init__(self, hub):
        cdef uint8_t[::1] view
        self.hub = hub
        self.buffer = memoryview(bytearray(RECEIVE_BUFFER_SIZE))
        view = self.buffer  # the buffer is never resized: ``self.buffer`` holds it
        self.data, self.size = &view[0], view.shape[0]
        self.thread_id = PyThread_get_thread_ident()
        self.stops_at_errors = "libuv" in type(hub.loop).__module__
        self._corked = []
        self.now = monotonic()
        self._fresh = deque()
        self._waiting = deque()
        self._poll = hub.loop.async_(ref=False)
        self._poll.start(self._grant)

    def is_foreign_thread(self):
        """Return whether the caller runs in another thread than this loop's hub."""
        return self.c_is_foreign_thread()

    cdef bint c_is_foreign_thread(self):
        return PyThread_get_thread_ident() != self.thread_id

    # Turns

    cpdef bint begin_turn(self) except -1:
        """Begin the turn of a connection that has news; ``False`` means that it must queue. In the hub."""
        self.now = monotonic()
        if self._spent >= SLICE:
            return False
        self._turn_ends = self.now + TURN
        return True

    cpdef end_turn(self):
        """End what ``begin_turn`` began."""
        self._spent += monotonic() - self.now

    cpdef bint turn_is_over(self) except -1:
        """Return whether the running turn is over, and others are to have theirs."""
        return monotonic() >= self._turn_ends

    cpdef queue(self, queued, bint fresh=False):
        """Let ``queued`` proceed when it is its turn, before all others if it has news (``fresh``)."""
        if not self._fresh and not self._waiting:
            self._poll.send()
        (self._fresh if fresh else self._waiting).append(queued)

    @property
    def is_crowded(self):
        """Whether many connections wait for their turn, so that each should keep little in memory."""
        return self._is_crowded()

    cdef bint _is_crowded(self) except -1:
        return len(self._waiting) >= CROWD

    def wait_for_turn(self):
        """Let others have their turn, and return when it is the caller's again. In a greenlet."""
        parked = _Parked(self, Waiter(self.hub))
        self.queue(parked)
        parked.waiter.get()

    cpdef take_turn(self):
        """Wait for a turn if the running one is over. In a greenlet; in the hub, which cannot wait, do nothing."""
        if monotonic() >= self._turn_ends and getcurrent() is not self.hub:
            self.wait_for_turn()

    def _grant(self):
        """Grant turns for one slice of time."""
        cdef double end
        self._spent = 0
        self.now = monotonic()
        end = self.now + SLICE
        self._grant_one(self._waiting)
        while (self._fresh or self._waiting) and monotonic() < end:
            self._grant_one(self._fresh or self._waiting)
        self.flush()
        if self._fresh or self._waiting:
            self._poll.send()

    cdef int _grant_one(self, queue) except -1:
        if queue:
            self.now = monotonic()
            self._turn_ends = self.now + TURN
            queued = queue.popleft()
            if isinstance(queued, Channel):
                (<Channel>queued).proceed()
            else:
                queued.proceed()
        return 0

    # Workers

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
            if not worker.dead:
                borrower._blocked(worker)
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

    cpdef resume(self, waiter):
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


class _Parked:
    """A greenlet that waits for its turn."""

    def __init__(self, loop, waiter):
        self.waiter = waiter
        self._loop = loop

    def proceed(self):
        self._loop.resume(self.waiter)


cdef class Channel:
    """A transport, its watchers and an owner. The read watcher's callback is the channel itself."""

    def __init__(self, Loop loop not None, transport):
        self.loop = loop
        self.use(transport)

    def use(self, transport):
        """Move bytes by ``transport`` from now on, which is on the same descriptor."""
        self.transport = transport
        self._fd = transport.fileno() if type(transport) is PlainTransport else -1

    # Reading

    def start_reading(self):
        """Watch the descriptor, from now until ``release``."""
        self._reader = self.loop.hub.loop.io(self.transport.fileno(), READ)
        self._start_reader()

    def _start_reader(self):
        if self.loop.stops_at_errors:
            self._reader.start(self, pass_events=True)
        else:
            self._reader.start(self)

    cpdef pause(self):
        """Leave what arrives in the kernel, which will slow the peer down."""
        if self.paused_at is None and self._reader is not None:
            self.paused_at = monotonic()
            self._reader.stop()

    cpdef resume(self):
        """Read again after ``pause``."""
        if self.paused_at is not None and self._reader is not None:
            self.paused_at = None
            self._start_reader()

    def __call__(self, int events=1):
        """Let the owner receive what has arrived: the read watcher's callback. Nothing is raised out of it."""
        cdef Loop loop = self.loop
        cdef bint received, corking
        if self._queued or not (loop.begin_turn() or events < 0):
            if events < 0:
                self._restart_reader()
            self._is_readable = True
            self.queue(True)
            return
        corking = loop.corking
        loop.corking = True
        try:
            received = self._let_receive()
            if events < 0:
                self._receive_before_error(received)
            loop.flush()
        except BaseException as error:
            self.owner._crashed(error)
        finally:
            loop.corking = corking
            loop.end_turn()

    cdef bint _let_receive(self) except? True:
        if isinstance(self.owner, Conversation):
            return (<Conversation>self.owner).c_readable()
        return self.owner._readable()

    def _receive_before_error(self, bint received):
        """Go on receiving until the error itself arrives. If there is none, watch again."""
        while received and self.is_reading and not self._queued:
            received = self._let_receive()
        self._restart_reader()

    def _restart_reader(self):
        if self.is_reading:
            self._reader.stop()
            self._start_reader()

    @property
    def is_reading(self):
        """Whether the owner is told of what arrives."""
        return self._reader is not None and self.paused_at is None

    cpdef recv(self):
        """Return up to ``BYTES_READ`` bytes, ``b""`` at the peer's end, ``None`` if there are none now."""
        cdef Py_ssize_t count, room = BYTES_READ
        if self._fd < 0:
            received = self.transport.recv_into(self.loop.buffer[:BYTES_READ])
            return None if received is None else self.loop.data[:received]
        if self.loop._is_crowded():
            room = CROWDED_READ
        count = recv(self._fd, self.loop.data, room, 0)
        if count >= 0:
            return self.loop.data[:count]
        if errno == EAGAIN or errno == EINTR:
            return None
        raise OSError(errno, "the connection is lost")

    # Turns

    cpdef queue(self, bint fresh=False):
        """Let the owner proceed when it is this connection's turn."""
        if not self._queued:
            self._queued = True
            self.loop.queue(self, fresh)

    cpdef proceed(self):
        """Let the owner go on: the connection's turn has come. Never raises."""
        cdef Loop loop = self.loop
        cdef bint corking = loop.corking
        self._queued = False
        loop.corking = True
        try:
            self.owner._proceed()
            if self._is_readable and self._reader is not None and self.paused_at is None and not self._queued:
                self._let_receive()
            self._is_readable = False
            loop.flush()
        except BaseException as error:
            self.owner._crashed(error)
        finally:
            loop.corking = corking

    @property
    def is_queued(self):
        """Whether the connection waits for its turn."""
        return bool(self._queued)

    # Sending

    cpdef cork(self):
        """Let the output leave when the running batch ends or blocks, with all that is added until then."""
        if not self._corked:
            self._corked = True
            self.loop.cork(self)

    cpdef flush(self):
        """Let the owner offer its output to the socket. Never raises."""
        self._corked = False
        if self._fd < 0 and self.transport.fileno() < 0:
            return
        try:
            if isinstance(self.owner, Conversation):
                (<Conversation>self.owner).c_flush()
            else:
                self.owner._flush()
        except BaseException as error:
            self.owner._crashed(error)

    cpdef Py_ssize_t send(self, list chunks) except -1:
        """Write what the socket takes now of ``chunks``; return how many bytes that was. Raises ``OSError``."""
        if self._fd >= 0:
            return self._send_plain(chunks) if chunks else 0
        if isinstance(self.transport, TLSRecords):
            return (<TLSRecords>self.transport).write(chunks or [])
        return self.transport.send(chunks or [])

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

    cdef bint _is_pending(self) except -1:
        if self._fd >= 0:
            return False
        if isinstance(self.transport, TLSRecords):
            return len((<TLSRecords>self.transport)._unsent) > 0
        return self.transport.pending

    @property
    def pending(self):
        """Whether ``send`` has taken bytes that the socket has not: call it again when there is room."""
        return self._is_pending()

    @property
    def awaits_room(self):
        """Whether the owner flushes when the socket has room again."""
        return self._writer is not None

    cpdef await_room(self):
        """Let the owner flush when the socket has room again. Idempotent."""
        if self._writer is None:
            self._writer = self.loop.hub.loop.io(self.transport.fileno(), WRITE)
            self._writer.start(self._writable)

    cpdef has_room(self):
        """End what ``await_room`` began. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.stop()
            writer.close()

    def _writable(self):
        self.flush()
        try:
            self.loop.flush()
        except BaseException as error:
            self.owner._crashed(error)

    # The end

    @property
    def is_open(self):
        """Whether the descriptor is there."""
        return self._fd >= 0 or self.transport.fileno() >= 0

    cpdef release(self, bint reset=False):
        """Give up the watchers and close the descriptor, in this order. Idempotent."""
        self.has_room()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
            reader.close()
        self._fd = -1
        if reset:
            self.transport.abort()
        else:
            self.transport.close()


cdef class Conversation:
    """A channel's owner that speaks WebSocket: an endpoint, an inbox and a service."""

    def __init__(self, channel, endpoint, service, options):
        self.service = service
        self.active = True
        self._channel = channel
        self._endpoint = endpoint
        self._max_send_buffer = options.max_send_buffer
        self._max_inbox_size = options.max_inbox_size
        self._max_inbox_messages = options.max_inbox_messages
        self._has_news = True
        self._started_at = self._heard_at = monotonic()

    # Receiving (in the hub)

    def _readable(self):
        return self.c_readable()

    cdef bint c_readable(self) except? True:
        cdef Channel channel = self._channel
        cdef Py_ssize_t count, room = 0
        cdef uint8_t* place
        if channel._fd < 0:
            return self._receive_by_transport()
        count = self._receive()
        if count == channel.loop.size and channel.is_reading and self._rest is None:
            if self._endpoint.wanted(&room) is not NULL:
                count = self._receive()  # the rest of a long message, which may be there already
        return count > 0

    cdef Py_ssize_t _receive(self) except -1:
        """Take what there is now on a plain socket; return how many bytes that was."""
        cdef list events = []
        cdef Loop loop = self._channel.loop
        cdef Py_ssize_t count, room = 0
        cdef uint8_t* place = self._endpoint.wanted(&room)
        if place is NULL:
            room = loop.size
            if self._endpoint.deflate is not None or loop._is_crowded():
                room = read_size(self._channel, self._endpoint.deflate is not None)
            count = recv(self._channel._fd, loop.data, room, 0)
        else:
            count = recv(self._channel._fd, place, room, 0)
        if count < 0:
            if errno != EAGAIN and errno != EINTR:
                self._lost()
        elif not count:
            self._end_of_stream()
        else:
            self._heard_at = loop.now
            self._pinged_at = None
            if place is NULL:
                self._take_in(loop.data, count)
            else:
                self._endpoint.received_wanted(count, events)
                if events:
                    self.c_take(events)
        return max(0, count)

    cdef bint _receive_by_transport(self) except -1:
        cdef Py_ssize_t count
        cdef Channel channel = self._channel
        cdef Loop loop = channel.loop
        buffer = loop.buffer
        if self._endpoint.deflate is not None or loop._is_crowded():
            buffer = buffer[:read_size(channel, self._endpoint.deflate is not None)]
        try:
            if isinstance(channel.transport, TLSRecords):
                count = (<TLSRecords>channel.transport).read_into(buffer)
            else:
                received = channel.transport.recv_into(buffer)
                count = -1 if received is None else received
        except OSError:
            self._lost()
            return False
        if count > 0:
            self._heard_at = loop.now
            self._pinged_at = None
            self._take_in(loop.data, count)
        elif not count:
            self._end_of_stream()
        if channel._is_pending():
            channel.cork()
        return count > 0

    cpdef _proceed(self):
        cdef uint8_t[::1] data
        self.c_go_to_work()
        if self._rest is None or self._channel.paused_at is not None:
            return
        if self._channel.loop.turn_is_over():
            self._channel.queue()
            return
        rest, self._rest = self._rest, None
        data = rest
        self._take_in(&data[0], data.shape[0], rest)

    cdef int _take_in(self, uint8_t* data, Py_ssize_t size, rest=None) except -1:
        """Take what was received, until the turn is over or the inbox full: the rest is kept for later.

        ``rest`` is the memory of ``data`` if it is this connection's own.
        """
        cdef list events
        cdef Py_ssize_t taken = 0
        while True:
            events = []
            taken += self._endpoint.receive_in_place(data + taken, size - taken, events, MAX_FRAMES)
            if events:
                self.c_take(events)
            if taken >= size or not self._channel.is_open:
                return 0
            if self._channel.paused_at is not None or self._channel.loop.turn_is_over():
                self._rest = memoryview(bytearray(data[taken:size])) if rest is None else rest[taken:]
                if self._channel.paused_at is None:
                    self._channel.queue()
                return 0

    def _take(self, list events):
        """Put messages into the inbox, hand the rest to ``_handle``, and go to work."""
        return self.c_take(events)

    cdef object c_take(self, list events):
        for event in events:
            if type(event) is not str and type(event) is not bytes:
                self._handle(event)
            elif self.active:
                if self._messages is None:
                    self._messages, self._next = [event], 0
                else:
                    self._messages.append(event)
                self._inbox_size += storage(event)
        self.c_go_to_work()
        if self.active and self._inbox_is_full():
            self._channel.pause()

    cdef bint _inbox_is_full(self):
        if self._messages is None:
            return False
        return (
            len(self._messages) - self._next >= self._max_inbox_messages
            or self._inbox_size >= self._max_inbox_size
        )

    def _has_messages(self):
        """Return whether messages wait in the inbox."""
        return self._messages is not None

    def _discard_inbox(self):
        """Forget the messages that the service will not be told of."""
        self._messages = None
        self._inbox_size = 0
        self._resume_reading()

    def _resume_reading(self):
        """Read again after ``Channel.pause``, during which the idle clock stood still."""
        cdef Channel channel = self._channel
        cdef double paused
        if channel.paused_at is not None:
            paused = monotonic() - channel.paused_at
            self._heard_at += paused
            if self._pinged_at is not None:
                self._pinged_at += paused
            channel.resume()
            if self._rest is not None:
                channel.queue()

    # The service (in a worker)

    def _go_to_work(self):
        """Let the greenlet that waits in ``receive``, or a worker, do what there is to do. In the hub."""
        return self.c_go_to_work()

    cdef object c_go_to_work(self):
        cdef bint due = self._messages is not None or self._has_news
        if self._receiver is not None and (due or not self.active):
            receiver, self._receiver = self._receiver, None
            self._channel.loop.resume(receiver)
            due = self._messages is not None or self._has_news
        if not self._working and due:
            self._working = True
            self._channel.loop.lend(self)

    def _work(self):
        """Tell the service what there is to tell, until the turn is over. Raises nothing: see ``_failed``."""
        cdef Loop loop = self._channel.loop
        while True:
            try:
                if self._messages is not None and self._greeted:
                    result = self.service.received(self.c_next_message(), self)
                    if result is not None:
                        self._check_result("received", result)
                    if self._messages is not None and loop.turn_is_over():
                        if not is_away():
                            self._channel.queue()
                            break
                        loop.wait_for_turn()
                elif self._has_news:
                    self._step()
                else:
                    break
            except BaseException as error:
                self._failed(error)
        self._working = False

    def _blocked(self, worker):
        """Do nothing: a callback that blocks is left alone."""

    def _next_message(self):
        """Take the first message out of the inbox, which is not empty; read on when there is room again."""
        return self.c_next_message()

    cdef object c_next_message(self):
        message = self._messages[self._next]
        self._messages[self._next] = None
        self._next += 1
        self._inbox_size -= storage(message)
        if self._next == len(self._messages):
            self._messages = None
        elif self._next >= 256:
            del self._messages[:self._next]
            self._next = 0
        if self._channel.paused_at is not None and not self._inbox_is_full():
            self._inbox_has_room()
        return message

    # Sending

    def send(self, message, as_binary=None, compress=None):
        """Send a message (Kitura: ``send(message:asBinary:)``).

        ``message`` is sent as text if it is a ``str``, else as binary; ``as_binary`` overrides this
        (text must then be valid UTF-8). Returns ``True`` when the message was taken, ``False`` when
        the connection is no longer open. Blocks while ``max_send_buffer`` bytes wait for the peer;
        in the hub itself, which cannot wait, such a connection is ended with 1013 instead.

        Where compression was negotiated, ``compress`` overrides the threshold of the service.

        Raises ``TypeError`` for another type and ``ValueError`` for text that is not UTF-8.
        """
        cdef Endpoint endpoint = self._endpoint
        if endpoint.output_size >= self._max_send_buffer or self._channel.loop.c_is_foreign_thread():
            opcode, payload = encode_message(message, as_binary)
            return self._send_later(opcode, payload, compress)
        if self.active and as_binary is None and endpoint.deflate is None:
            if type(message) is str:
                endpoint.send_text(message)
                self._channel.cork()
                return True
            if type(message) is bytes:
                endpoint.send(BINARY, message)
                self._channel.cork()
                return True
        opcode, payload = encode_message(message, as_binary)
        return self._send_now(opcode, payload, compress)

    def _send_broadcast(self, message):
        """Send a message that goes to many connections, without ever waiting (see ``broadcast``)."""
        if self._endpoint.output_size >= self._max_send_buffer or self._channel.loop.c_is_foreign_thread():
            return self._send_broadcast_later(message)
        if not self.active:
            return False
        self._endpoint.send_encoded(message.frame_for(self._endpoint.deflate))
        self._channel.cork()
        return True

    def _send_now(self, opcode, payload, compress=None):
        """Send without regard to the limit; ``False`` if the connection is no longer open."""
        if not self.active:
            return False
        self._endpoint.send(opcode, payload, compress)
        self._channel.cork()
        return True

    def _answer_ping(self, payload):
        """Send a pong; while the peer takes nothing, only its latest ping is answered (RFC 6455, 5.5.3)."""
        if self._channel._writer is not None:
            self._pong = payload
        else:
            self._endpoint.pong(payload)
            self._channel.cork()

    def _flush(self):
        return self.c_flush()

    cdef object c_flush(self):
        cdef Endpoint endpoint = self._endpoint
        cdef Channel channel = self._channel
        cdef Py_ssize_t sent
        cdef bint pending
        while endpoint.chunks is not None or channel._is_pending():
            sent = channel.send(endpoint.chunks)
            if sent:
                endpoint.sent(sent)
                if channel._writer is not None:
                    self._stuck_since = monotonic()
            pending = channel._is_pending()
            if pending or (endpoint.chunks is not None and not sent):
                if channel._writer is None:
                    self._stuck_since = monotonic()
                    channel.await_room()
                break
            if endpoint.chunks is None and self._pong is not None:
                endpoint.pong(self._pong)
                self._pong = None
        if channel._writer is not None and endpoint.chunks is None and not channel._is_pending():
            channel.has_room()
            if self._pinged_at is not None:
                self._pinged_at = monotonic()  # the ping was behind what has only now left
        if self._watches_output:
            self._output_left()
