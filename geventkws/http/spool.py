"""Chunked bodies in a form that applications can use: read completely before they are called, with a length.

In WSGI, nothing says that a body ends where reading ends, and most applications take a body without a
``CONTENT_LENGTH`` to be empty (PEP 3333, "environ Variables").
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO, Any

from geventkws.http.body import RequestBody
from geventkws.http.errors import RequestBodyError
from geventkws.http.head import CHUNKED, RequestHead
from geventkws.http.log import logger
from geventkws.http.reader import PIECE
from geventkws.options import ServerOptions

SPOOL_MEMORY = 256 * 1024
"""The most bytes of a body that are kept in memory; a longer one goes to a temporary file."""


def body_limit(head: RequestHead, options: ServerOptions) -> int | None:
    """Return how many bytes the body of a request may have; ``None`` for any number."""
    limit = options.max_body_size
    if head.body_length != CHUNKED or not options.spool_chunked:
        return limit
    return options.max_spool_size if limit is None else min(limit, options.max_spool_size)


@contextmanager
def decoded(environ: dict[str, Any], body: RequestBody, options: ServerOptions) -> Iterator[None]:
    """Let the environ of a chunked request say how to read its body, while the application runs.

    Raises ``RequestBodyError``, before the application runs, for a body that does not arrive as it should.
    """
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # nothing of it is left
    if not options.spool_chunked:
        environ["wsgi.input_terminated"] = True
        yield
        return
    with spool(body) as file:
        environ["CONTENT_LENGTH"] = str(file.tell())
        file.seek(0)
        environ["wsgi.input"] = file
        yield


@contextmanager
def spool(body: RequestBody) -> Iterator[IO[bytes]]:
    """Read all of ``body`` into a file, which is positioned at its end, and closed with the context.

    Raises ``RequestBodyError`` with 503 if it cannot be stored: the disk is full, or there is no descriptor.
    """
    with ExitStack() as files:
        file: IO[bytes] = files.enter_context(io.BytesIO())
        while piece := body.read(PIECE):
            try:
                if isinstance(file, io.BytesIO) and file.tell() + len(piece) > SPOOL_MEMORY:
                    file = _moved(file, files)
                file.write(piece)
                file.flush()
            except OSError as error:
                logger.error("A chunked request body cannot be stored: %s", error)
                raise RequestBodyError(503, "The server cannot store the request body now") from error
        yield file


def _moved(start: io.BytesIO, files: ExitStack) -> IO[bytes]:
    """Return a temporary file that begins with what is in memory so far."""
    file: IO[bytes] = TemporaryFile()  # noqa: SIM115 (``files`` closes it)
    files.callback(_close, file)
    with start:
        file.write(start.getvalue())
    return file


def _close(file: IO[bytes]) -> None:
    with suppress(OSError):  # closing writes what could not be written before, which nobody wants any more
        file.close()
