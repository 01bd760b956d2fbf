"""The socket of a connection that an application has taken over."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any, NoReturn

from gevent.socket import socket

from geventkws.net.transport import PlainTransport


def refuse() -> NoReturn:
    """Raise ``RuntimeError``: the connection can be taken during its request only."""
    raise RuntimeError("the request of this connection is over")


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

    def request_is_over(self) -> None:
        """Let a first use raise ``RuntimeError`` from now on. Does nothing to a socket that is in use."""
        if self._take is not None:
            self._take = refuse

    # What sets attributes is a use, too: the constructor would set them again.

    def settimeout(self, howlong: float | None) -> None:
        self.fileno()
        super().settimeout(howlong)

    def setblocking(self, flag: bool) -> None:
        self.fileno()
        super().setblocking(flag)

    def dup(self) -> Any:
        """Return another socket of the same connection, as simple-websocket makes one."""
        copy = socket(self.family, self.type, self.proto, os.dup(self.fileno()))
        copy.settimeout(self.gettimeout())
        return copy

    def __repr__(self) -> str:
        if self._take is not None:
            return f"<{type(self).__name__}, not used yet>"
        return super().__repr__()


class UpgradeInput(io.BytesIO):
    """The ``wsgi.input`` of an upgrade request, which is empty.

    ``raw._sock`` is the socket: libraries that know gevent's own server look for it there.
    """

    def __init__(self, sock: TakenSocket) -> None:
        super().__init__()
        self.raw = _Raw(sock)


class _Raw:
    __slots__ = ("_sock",)

    def __init__(self, sock: TakenSocket) -> None:
        self._sock = sock


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
