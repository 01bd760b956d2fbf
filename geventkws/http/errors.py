"""Why a request is refused, or ends early."""

from __future__ import annotations

from collections.abc import Iterable


class HTTPError(Exception):
    """A request that the server itself answers with ``status``; then the connection closes.

    ``message`` is the body of the answer, one sentence for a human reader; ``headers`` are further fields.
    """

    def __init__(self, status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = list(headers)

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


class TLSGreetingError(HTTPError):
    """The client speaks TLS, on a connection that does not."""

    def __init__(self) -> None:
        super().__init__(400, "This port does not speak TLS: write http:// or ws:// instead")


class RequestBodyError(OSError):
    """What ``wsgi.input`` raises: the body is malformed (400), late (408), too large (413) or cut off.

    An ``OSError``, since that is what applications and frameworks expect of a broken upload.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def again(self) -> RequestBodyError:
        """Return one that says the same, to be raised: the traceback of one that is kept would be a cycle."""
        return RequestBodyError(self.status, self.message)


class ApplicationTimeoutError(BaseException):
    """Thrown into an application that has not answered within ``request_timeout``.

    Not an ``Exception``, so that no handler of the application's own errors takes it for one of them.
    """

    status = 503
    message = "The server took too long to answer this request"

    def __str__(self) -> str:
        return "request_timeout has passed"


class PeerGoneError(ConnectionError):
    """The peer closed the connection, or stopped reading, while a response was being written."""


def forget_frames(error: BaseException | None) -> None:
    """Forget where an error, and those that led to it, were raised: there, something may keep the error."""
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__context__
