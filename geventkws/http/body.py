"""A request's body as a stream, which is read from the socket when the application reads it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from geventkws.backend import use_compiled
from geventkws.http.errors import HTTPError, RequestBodyError
from geventkws.http.head import CHUNKED, RequestHead
from geventkws.http.reader import PIECE, RequestReader
from geventkws.http.stream import Stream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_DISCARDED = 256 * 1024
"""The most bytes of an unread body that are discarded so that the connection can be kept."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody(io.RawIOBase):
    """One request's body; applications get it as ``RequestBody.buffered``.

    Reads raise ``RequestBodyError``; each further read raises one that says the same.
    """

    def __init__(
        self,
        head: RequestHead,
        reader: RequestReader,
        stream: Stream,
        timeout: float | None = None,
        max_size: int | None = None,
    ) -> None:
        self._reader = reader
        self._stream = stream
        self._timeout = timeout
        self._max_size = max_size
        self._size = 0
        self._continue_due = head.expects_continue
        self.error: RequestBodyError | None = None
        """What is wrong with the body, if a read has found that out. It is never raised itself."""

    def buffered(self) -> io.BufferedReader:
        """Return the body as a buffered file, with ``read``, ``readline``, ``readlines`` and iteration."""
        return io.BufferedReader(self, PIECE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Wait for some of the body and read it into ``buffer``; return how many bytes: 0 at its end."""
        view = memoryview(buffer).cast("B")
        piece = self._piece(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def may_be_discarded(self) -> bool:
        """Return whether the rest of the body may be discarded in order to keep the connection.

        A client that is still waiting for ``100 Continue`` may or may not send the body (RFC 9110, 10.1.1),
        so what follows could be the body or the next request.
        """
        left = self._reader.body_left
        return left == 0 or (self.error is None and not self._continue_due and left <= MAX_DISCARDED)

    def discard(self) -> bool:
        """Discard what the application has not read; return ``False`` if the connection has to close."""
        if not self.may_be_discarded():
            return False
        discarded = 0
        try:
            while discarded <= MAX_DISCARDED:
                piece = self._piece(PIECE)
                if not piece:
                    return True
                discarded += len(piece)
        except RequestBodyError:
            pass
        return False

    def check_answer(self, status: int) -> None:
        """Raise what a failed read has raised if an answer with this ``status`` would hide it.

        Frameworks that do not understand an error from ``wsgi.input`` answer 500 or 400; or 403, where they
        looked in the body for a token against forged requests.
        """
        error = self.error
        if error is not None and status in (400, 403, 500) and status != error.status:
            raise error.again()

    def _piece(self, limit: int) -> bytes:
        if self.error is not None:
            raise self.error.again()
        self._stream.take_turn()
        try:
            piece = self._reader.body(limit)
            while piece is None:
                self._receive()
                piece = self._reader.body(limit)
        except HTTPError as error:
            raise self._failed(error.status, error.message) from None
        except TimeoutError:
            raise self._failed(408, "The request body took too long to arrive") from None
        except OSError:
            raise self._failed(400, "The connection was lost within the request body") from None
        self._size += len(piece)
        if self._max_size is not None and self._size > self._max_size:
            excess = _too_large(self._max_size)
            raise self._failed(excess.status, excess.message)
        return piece

    def _receive(self) -> None:
        self._stream.set_deadline(self._timeout)
        if self._continue_due:
            self._continue_due = False
            self._stream.sendall((CONTINUE,))
            return  # the client may not have waited, and its body may have been read already
        data = self._stream.recv()
        if not data:
            raise HTTPError(400, "The request body ends early")
        self._reader.feed(data)

    def _failed(self, status: int, message: str) -> RequestBodyError:
        self.error = RequestBodyError(status, message)
        return self.error.again()


def check_size(head: RequestHead, max_size: int | None) -> None:
    """Refuse a body whose ``Content-Length`` is over the limit (413), before any of it is read."""
    if max_size is not None and head.body_length != CHUNKED and head.body_length > max_size:
        raise _too_large(max_size)


def _too_large(limit: int) -> HTTPError:
    return HTTPError(413, f"The request body is larger than {limit} bytes")


use_compiled(__name__, globals())
