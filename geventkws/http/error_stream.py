"""``wsgi.errors`` of a request with a body."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from geventkws.http.body import RequestBody
from geventkws.http.errors import RequestBodyError


class ErrorStream:
    """Passes everything on except the traceback of a read of the body that failed.

    Some frameworks write one, as for any other exception, before they answer. But it was the client that
    failed, or its network: the server answers with 400, 408 or 413, and there is nothing to fix.
    """

    def __init__(self, stream: Any, body: RequestBody) -> None:
        self._stream = stream
        self._body = body

    def write(self, text: str) -> object:
        if self._body.error is not None and RequestBodyError.__name__ in text:
            return len(text)
        return self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
