"""The socket of a connection that an application has taken over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gevent.socket import socket

from geventkws.net.transport import PlainTransport

_MADE_AT_FIRST_USE = frozenset(
    {"_closed", "_io_refs", "_read_event", "_sock", "_write_event", "hub", "timeout"}
)
"""The attributes that the constructor of gevent's socket sets."""


class TakenSocket(socket):
    """A gevent socket that takes the connection over when it is first used; only then is it really made.

    Looking at it, as debuggers and error reports do (``repr``, names with two underscores), is not a use.
    """

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[], int]) -> None:
        """``take`` returns the descriptor, or raises if the application must not have it."""
        self._take: Callable[[], int] | None = take

    def __getattr__(self, name: str) -> Any:
        if self._take is None:
            return getattr(self._sock, name)
        if name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        descriptor = self._take()
        self._take = None
        super().__init__(fileno=descriptor)
        return getattr(self, name)

    def __repr__(self) -> str:
        if self._take is not None:
            return f"<{type(self).__name__}, not used yet>"
        return super().__repr__()


class LentTransport(PlainTransport):
    """A transport whose descriptor an application has, in a socket that it may close at any time."""

    __slots__ = ("_lent",)

    def __init__(self, lent: socket) -> None:
        super().__init__(-1, blocks=False)
        self._lent = lent

    def fileno(self) -> int:
        return self._lent.fileno()

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        self._lent.close()
