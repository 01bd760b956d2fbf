"""The responses of the application."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Protocol

from geventkws.backend import use_compiled
from geventkws.http.errors import PeerGoneError
from geventkws.http.fields import DEFAULT_SERVER, Fields, read_status, warn_once
from geventkws.http.files import MAX_SENT, UNSUPPORTED, FilePart, FileWrapper, rest_of
from geventkws.http.framing import BY_CHUNKS, BY_CLOSE, BY_LENGTH, NO_BODY, frame_response
from geventkws.http.head import RequestHead
from geventkws.http.log import logger
from geventkws.http.stream import CHUNK, NEVER, NOTHING, OPEN_END, Stream
from geventkws.net.transport import JOIN_MAX
from geventkws.protocol.refusals import HandshakeError

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

MAX_WRITE = 256 * 1024
"""Bytes that are written within one deadline: a slow peer has the whole time for each such part."""

_SWITCHING = 101

_LOST_BODY = """\
The application has taken the connection over, so the body that it returns is not sent: what follows a 101 \
goes through environ["geventkws.socket"]"""


class Takeover(Protocol):
    """What the response to an upgrade request asks of the application's takeover of the connection."""

    is_taken: bool
    if_unanswered: Callable[[], object] | None

    def allow(self) -> None:
        """Raise ``HandshakeError`` if the application must not open this connection."""

    def sendall(self, data: bytes) -> None:
        """Send ``data`` by the socket that the application has."""


class Response:
    """The response to one request: ``start_response``, then ``send`` what the application returned.

    What the application does wrong raises in the application: ``TypeError`` or ``ValueError`` for what is
    not a status, a header field or a body, and ``RuntimeError`` for calls out of order. ``PeerGoneError`` if
    the peer has stopped reading.
    """

    __slots__ = (
        "_fields",
        "_framing",
        "_length",
        "_may_persist",
        "_request",
        "_server",
        "_status_line",
        "_stream",
        "_timeout",
        "bytes_sent",
        "complete",
        "head_sent",
        "incomplete",
        "is_over",
        "keep_alive",
        "peer_gone",
        "refusal",
        "status",
        "takeover",
    )

    def __init__(
        self,
        request: RequestHead,
        stream: Stream,
        timeout: float | None = None,
        may_persist: Callable[[], bool] | None = None,
        server: bytes = DEFAULT_SERVER,
    ) -> None:
        """Answer ``request``. ``may_persist`` is called for the head, of which ``server`` is a line."""
        self._request = request
        self._stream = stream
        self._timeout = timeout
        self._may_persist = may_persist
        self._server = server
        self.status = 0
        self._length: int | None = None
        self.keep_alive = request.keep_alive
        self.head_sent = False
        self.bytes_sent = 0
        """Bytes of the body that have been sent, without the chunked coding."""
        self.incomplete = False
        """Whether the application sent less than it announced: the client must see that it is cut off."""
        self.complete = False
        """Whether everything was sent: whatever the application does now, nothing can be cut off."""
        self.is_over = False
        """Whether the application may send no more: what it writes now would go into the next response."""
        self.peer_gone = False
        self.refusal: HandshakeError | None = None
        """Why an upgrade request is refused: answered instead of what the application returns."""
        self.takeover: Takeover | None = None
        """Lets the application answer 101 to an upgrade request by itself."""

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection tells the client where the body ends."""
        return self.head_sent and self._framing == BY_CLOSE

    # ------------------------------------------------------- for the application

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Take the status and header fields of the response (PEP 3333); return ``write``."""
        if self._is_decided() and not self._is_late_switch(status):
            return self.write
        if exc_info is not None:
            try:
                if self.head_sent and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # its traceback refers to this frame
        elif self.status:
            raise RuntimeError("start_response was called a second time, without exc_info")
        number, self._status_line = read_status(status)
        if number == _SWITCHING:
            self._check_switch()
        self._fields = fields = Fields(headers, number == _SWITCHING)
        self._length = fields.content_length
        self.status = number
        if self._is_taken():
            self._send_late_switch()
        return self.write

    def write(self, data: bytes) -> None:
        """Send a part of the body at once, after the head if that has not been sent."""
        if not isinstance(data, bytes):
            raise _no_bytes(data)
        if self._is_taken():
            if data:
                warn_once(_LOST_BODY)
            return
        if self.is_over or self._stream.is_given:
            raise RuntimeError("write() was called after its response had ended")
        if self.refusal is not None:
            return
        if data:
            head = b"" if self.head_sent else self._start()
            self._write(head, bytes(data))

    # ------------------------------------------------------------ for the server

    def switch(self) -> bytes:
        """Return the head of a 101 that has not been sent yet; it counts as sent then."""
        return b"" if self.head_sent or self.status != _SWITCHING else self._start()

    def send(self, body: Iterable[bytes]) -> None:
        """Send what the application returned: in one write if all of it is there, else part by part."""
        if self._is_decided() and not self._is_taken():
            self._begin(body)
            return
        if self.peer_gone:
            self._begin(body)
            raise PeerGoneError("the client went before it was answered")
        if self.status and not self.head_sent and isinstance(body, (list, tuple)):
            for chunk in body:
                if not isinstance(chunk, bytes):
                    raise _no_bytes(chunk)
            self._finish(b"".join(body))
            return
        if isinstance(body, FileWrapper) and self.status and not self.head_sent:
            file = rest_of(body.filelike)
            if file is not None and self._send_file(file):
                return
        try:
            self._send_each(body)
        finally:
            self._stream.awaited = NOTHING
        if not (self.status or self._is_decided()):
            self._be_answered()
        if not self._is_decided():
            self._finish(b"")

    def _begin(self, body: object) -> None:
        """Begin to iterate over a body that is not sent, so that middleware around it does its work."""
        if isinstance(body, Iterable):
            for _ in body:
                break

    def _send_each(self, body: Iterable[bytes]) -> None:
        """Send the parts as they come. If the peer leaves, the application may be ended between two."""
        stream = self._stream
        stream.streams_since = monotonic()
        stream.awaited = CHUNK
        for chunk in body:
            stream.awaited = NOTHING
            if self._is_decided() and not self._is_taken():
                break
            self.write(chunk)
            if self.head_sent and self._framing == NO_BODY and self.status != _SWITCHING:
                break
            stream.awaited = OPEN_END if self.head_sent and self._framing != BY_LENGTH else CHUNK

    def _is_decided(self) -> bool:
        """Return whether an upgrade was accepted, refused or taken: the response itself is not sent."""
        return self._stream.is_given or self.refusal is not None

    def _be_answered(self) -> None:
        """Let somebody else answer an upgrade request, since the application has not."""
        if self.takeover is not None and self.takeover.if_unanswered is not None:
            self.takeover.if_unanswered()

    def _is_taken(self) -> bool:
        """Return whether the application has taken the connection. Its body is iterated over all the same."""
        return self.takeover is not None and self.takeover.is_taken

    def _is_late_switch(self, status: str) -> bool:
        """Return whether the application answers 101 when it has taken the connection already."""
        return self._is_taken() and not self.status and status.startswith(f"{_SWITCHING} ")

    def _check_switch(self) -> None:
        if self.takeover is None:
            raise ValueError(
                "a status of 101 answers an upgrade to WebSocket, which this request does not ask for"
            )
        if not self.takeover.is_taken:
            self.takeover.allow()

    def _send_late_switch(self) -> None:
        assert self.takeover is not None
        try:
            self.takeover.sendall(self.switch())
        except OSError:
            self.peer_gone = True
            raise

    def _send_file(self, file: FilePart) -> bool:
        """Let the kernel send a file; return ``False`` if it must or should be read instead."""
        if self._length is None and self.status not in (204, 304):
            self._length = file.size
        if self._stream.channel.transport.secure or file.size <= JOIN_MAX:
            return False
        head = self._start()
        self._transmit((head,))
        if self._framing == BY_LENGTH and self._length is not None:
            end = file.offset + min(file.size, self._length)
            try:
                self._let_send(file.descriptor, file.offset, end)
            except OSError as error:
                if error.errno in UNSUPPORTED and not self.bytes_sent:
                    return False
                raise
        self._finish(b"")
        return True

    def _let_send(self, descriptor: int, offset: int, end: int) -> None:
        stream = self._stream
        stream.set_deadline(self._timeout)
        try:
            while offset < end:
                stream.wait_until_writable()
                count = min(end - offset, MAX_SENT)
                with suppress(BlockingIOError):
                    sent = os.sendfile(stream.channel.transport.fileno(), descriptor, offset, count)
                    if not sent:  # The file has become shorter.
                        return
                    offset += sent
                    self.bytes_sent += sent
                    stream.set_deadline(self._timeout)
        except (ConnectionError, TimeoutError) as error:
            self.peer_gone = True
            raise PeerGoneError(str(error)) from error

    def _finish(self, last: bytes) -> None:
        self.is_over = True
        head = b""
        if not self.head_sent:
            # The length is known now, unless HEAD got nothing: GET might have got something.
            if self._length is None and self.status not in (204, 304):
                self._length = len(last) if last or self._request.method != "HEAD" else None
            head = self._start()
        if last or head:
            self._write(head, last, is_last=self._framing != BY_CHUNKS)
        if self._framing == BY_CHUNKS:
            self._stream.send_soon(b"0\r\n\r\n")
        elif self._framing == BY_LENGTH and self._length != self.bytes_sent:
            self.incomplete = True
            logger.error(
                "The application sent %d bytes of a Content-Length of %s for %s %r",
                *(self.bytes_sent, self._length, self._request.method, self._request.target),
            )
        self.complete = not self.incomplete

    def _start(self) -> bytes:
        """Decide the framing, and return the head, which counts as sent from now on."""
        if not self.status:
            raise RuntimeError("the application did not call start_response before the body")
        request, fields, length = self._request, self._fields, self._length
        if self.status == _SWITCHING:
            return self._start_switch()
        self._framing = framing = frame_response(request.method, request.version, self.status, length)
        extra = b""
        if length is not None and self.status != 204:
            extra = f"Content-Length: {length}\r\n".encode("ascii")
        elif framing == BY_CHUNKS:
            extra = b"Transfer-Encoding: chunked\r\n"
        if fields.closes or framing == BY_CLOSE or self._stream.hurried:
            self.keep_alive = False
        if self.keep_alive and self._may_persist is not None:
            self.keep_alive = self._may_persist()
        if not self.keep_alive:
            extra += b"Connection: close\r\n"
        elif request.version != "1.1":
            extra += b"Connection: keep-alive\r\n"
        self.head_sent = True
        self._stream.answer_by = NEVER
        return b"".join((self._status_line, fields.common(self._server), fields.encoded, extra, b"\r\n"))

    def _start_switch(self) -> bytes:
        """Return the head of a 101, to which nothing is added, not even a ``Date``: it has all it needs."""
        self._framing = NO_BODY
        self.keep_alive = False
        self.head_sent = True
        return b"".join((self._status_line, self._fields.encoded, b"\r\n"))

    def _write(self, head: bytes, data: bytes, is_last: bool = False) -> None:
        """Send ``head`` and then a part of the body, in the form that the framing requires.

        The last part, if it is short, leaves with everything else that is sent in this turn.
        """
        framing = self._framing
        if framing == NO_BODY:
            if data and self.status == _SWITCHING:
                warn_once(_LOST_BODY)
            data = b""
        elif framing == BY_LENGTH and self._length is not None:
            left = self._length - self.bytes_sent
            if len(data) > left:
                warn_once("The application sends more than its Content-Length; the rest is cut off")
                data = data[:left]
            is_last = is_last or len(data) == left
        size = len(data)
        self.bytes_sent += size
        if framing == BY_CHUNKS and size:
            self._transmit((b"%b%x\r\n" % (head, size), data, b"\r\n"))
        elif len(head) + size <= JOIN_MAX:
            if is_last:
                self._stream.send_soon(head + data)
            else:
                self._transmit((head + data,))
        else:
            self._transmit((head, data))
        self.complete = is_last

    def _transmit(self, chunks: tuple[bytes, ...]) -> None:
        stream = self._stream
        try:
            for part in (chunks,) if len(chunks) == 1 else _parts(chunks):
                stream.set_deadline(self._timeout)
                stream.sendall(part)
        except OSError as error:
            self.peer_gone = True
            raise PeerGoneError(str(error)) from error


def _no_bytes(data: object) -> TypeError:
    return TypeError(f"a response body is made of bytes (PEP 3333), not of {type(data).__name__}")


def _parts(chunks: tuple[bytes, ...]) -> Iterator[tuple[bytes | memoryview, ...]]:
    """Cut a long write into parts, each with its own deadline."""
    if sum(map(len, chunks)) <= MAX_WRITE:
        yield chunks
        return
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), MAX_WRITE):
            yield (view[start : start + MAX_WRITE],)


use_compiled(__name__, globals())
