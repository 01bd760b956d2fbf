"""How an application takes over a connection, to speak WebSocket itself.

It may answer 101 through ``start_response``, use ``environ["geventkws.socket"]``, or both, in any order. The
connection belongs to the application until its response is closed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from geventkws.http.stream import NEVER, Stream
from geventkws.http.taken import LentTransport, TakenSocket, refuse
from geventkws.loop.farewell import LAST_MOMENT
from geventkws.loop.pump import Pump
from geventkws.net.transport import PlainTransport
from geventkws.protocol.refusals import HandshakeError

SOCKET = "geventkws.socket"
"""The key of the socket in the environ of an upgrade request."""


OnEnd = Callable[[BaseException | None], bool]
"""Called when the application has answered or failed, with what it has raised; returns whether that only says
that the client has gone."""


class Answer(Protocol):
    """What a takeover asks of the response to the upgrade request."""

    status: int
    refusal: HandshakeError | None
    peer_gone: bool

    def switch(self) -> bytes:
        """Return the head of a 101 that has not been sent yet; it counts as sent from then on."""


class Takeover:
    """The takeover of one connection, which may be refused, may happen, and ends with the response."""

    def __init__(
        self, stream: Stream, check: Callable[[], None], read_ahead: bytes, timeout: float | None
    ) -> None:
        """Offer the connection of ``stream``.

        ``check`` raises ``HandshakeError`` if the application must not have it; ``read_ahead`` arrived
        after the request; ``timeout`` is how many seconds the client may take to read what is sent.
        """
        self.socket = TakenSocket(self._take)
        """``environ["geventkws.socket"]``."""
        self.answer: Answer | None = None
        """The response so far; ``None`` unless the application is working."""
        self.is_taken = False
        """Whether the application has, or has had, the connection."""
        self.environ: dict[str, Any] = {}
        """The environ of the request, while the application is working."""
        self.on_end: OnEnd | None = None
        """Set by another way of taking the connection."""
        self.if_unanswered: Callable[[], object] | None = None
        """Called when the application has returned an empty body without a status; it may give an answer."""
        self._stream = stream
        self._check = check
        self._read_ahead = read_ahead
        self._timeout = timeout
        self._pump: Pump | None = None

    def allow(self) -> None:
        """Raise ``HandshakeError``, which becomes the answer, if the application must not have it."""
        answer = self.answer
        if answer is None:
            refuse()
        if answer.refusal is not None:
            raise answer.refusal
        try:
            self._check()
        except HandshakeError as refusal:
            answer.refusal = refusal
            raise

    @contextmanager
    def during(self, environ: dict[str, Any]) -> Iterator[None]:
        """Surround the application's work on the request of ``environ``."""
        self.environ = environ
        try:
            yield
        except BaseException as error:
            if self._tell(error) and self.answer is not None:
                self.answer.peer_gone = True
            raise
        else:
            self._tell(None)
        finally:
            self.environ = {}
            self.on_end = None  # it leads back here: kept, it would be a cycle

    def _tell(self, error: BaseException | None) -> bool:
        return self.on_end is not None and self.on_end(error)

    def _take(self) -> int:
        """Return the descriptor of the application's socket."""
        answer, stream = self.answer, self._stream
        if stream.is_given or (answer is not None and answer.status not in (0, 101)):
            raise RuntimeError(
                "this upgrade request has been answered already: the connection cannot be taken"
            )
        self.allow()
        assert answer is not None
        stream.set_deadline(self._timeout)
        stream.send_soon(answer.switch())
        try:
            stream.drain()
        except OSError:
            answer.peer_gone = True
            raise
        stream.deadline = stream.answer_by = NEVER
        stream.is_given = self.is_taken = True
        transport = stream.channel.transport
        if self._read_ahead or not isinstance(transport, PlainTransport):
            return self._pumped()
        stream.channel.detach()
        descriptor = transport.detach()
        stream.channel.use(LentTransport(self.socket))
        return descriptor

    def _pumped(self) -> int:
        """Return one end of a socket pair; a pump connects its other end with the client."""
        ours, theirs = socket.socketpair()
        self._pump = Pump(self._stream.channel, ours.detach(), self._read_ahead)
        return theirs.detach()

    def sendall(self, data: bytes) -> None:
        """Send ``data`` through the application's socket, before whatever it sends itself."""
        self.socket.sendall(data)

    def end(self) -> None:
        """Take the connection back if the application has it; if the application has closed it, close it."""
        self.answer = self.if_unanswered = None
        self.socket.request_is_over()
        if not self.is_taken:
            return
        channel = self._stream.channel
        self._stream.is_given = False
        pump, self._pump = self._pump, None
        if pump is not None:
            self._end_pump(pump)
        elif self.socket.fileno() < 0:
            channel.release()
        else:
            channel.attach(PlainTransport(self.socket.detach()))

    def _end_pump(self, pump: Pump) -> None:
        self.socket.close()
        drained = False
        try:
            drained = pump.drain(LAST_MOMENT if self._stream.hurried else self._timeout)
        finally:
            pump.stop()
            if not drained:
                self._stream.channel.release()
