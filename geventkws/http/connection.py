"""The way of an HTTP connection: heads in, the application's responses out, until it closes."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable

from gevent import Timeout

from geventkws.http.body import RequestBody, check_size
from geventkws.http.context import AccessEntry, HTTPContext, server_options
from geventkws.http.environ import Address
from geventkws.http.errors import HTTPError, RequestBodyError
from geventkws.http.head import RequestHead
from geventkws.http.log import logger
from geventkws.http.reader import RequestReader
from geventkws.http.response import Response, plain_response
from geventkws.protocol.handshake import HandshakeError
from geventkws.stream import Stream
from geventkws.transport import Transport

TURN = 32
"""Requests after which a connection waits in the hub, however fast its client is: others have their turn."""


class _After(enum.Enum):
    """What becomes of the connection after a request."""

    NEXT = enum.auto()
    """It persists."""
    CLOSE = enum.auto()
    """It closes at once; a response that is not complete is thereby seen to be cut off."""
    ABORT = enum.auto()
    """It is reset: only so is a response cut off whose end is that of the connection."""
    LINGER = enum.auto()
    """It closes, but what the peer still sends is read away first, lest a reset destroys the answer."""
    TAKEN = enum.auto()
    """It is no longer ours."""


class HTTPConnection:
    """One client's connection, served by the greenlet that calls ``run``."""

    __slots__ = (
        "_reader",
        "_requests_left",
        "_trusted",
        "context",
        "extra_environ",
        "peer",
        "remote_address",
        "scheme",
        "stream",
        "taken",
    )

    def __init__(self, stream: Stream, context: HTTPContext, peer: Address) -> None:
        self.stream = stream
        self.context = context
        self.remote_address = peer
        """The client's address: of a trusted proxy's requests, the one that the request came from."""
        self.scheme: str | None = None
        """The scheme that a trusted proxy was asked by; ``None`` where it does not say."""
        self.peer = peer
        """Who is connected: the client, or a proxy."""
        self._trusted = context.proxies.trusts(peer)
        self.taken = False
        """Whether ``take`` was called."""
        self.extra_environ: dict[str, object] = {}
        """Added to the environ of an upgrade request that the application answers."""
        options = context.options
        self._reader = RequestReader(options.max_head_size, options.max_head_fields, options.max_target_size)
        self._requests_left = options.max_requests or sys.maxsize

    def take(self) -> Transport:
        """Hand the transport over, open, to another protocol: ``run`` returns without closing it."""
        self.taken = True
        return self.stream.detach()

    def run(self) -> None:
        """Serve requests until the connection is closed or taken."""
        after = _After.CLOSE
        try:
            after = self._serve(first=True)
            while after is _After.NEXT:
                after = self._serve(first=False)
        except OSError as error:
            logger.debug("The HTTP connection of %s was lost: %s", self.remote_address, error)
        finally:
            if after is _After.ABORT:
                self.stream.abort()
            elif not self.taken:
                self.stream.close(self.context.options.close_timeout if after is _After.LINGER else None)

    def _serve(self, first: bool) -> _After:
        """Read one request and answer it."""
        head = None
        try:
            head = self._next_head(first)
            if head is None:
                return _After.CLOSE
            if self._trusted:
                self.remote_address = self.peer
                head, self.remote_address, self.scheme = self.context.proxies.resolve(head, self.peer)
            check_size(head, self.context.options.max_body_size)
            if head.upgrade and self.context.on_upgrade(self, head, self._reader.take_rest()):
                self.taken = True
        except (HTTPError, HandshakeError) as error:
            return self._refuse(head, error.status, error.message, error.headers)
        return _After.TAKEN if self.taken else self._answer(head)

    def _next_head(self, first: bool) -> RequestHead | None:
        """Wait for the next request's head; ``None`` if the peer closed, or stayed idle too long."""
        reader, stream, options = self._reader, self.stream, self.context.options
        started = reader.started
        if started and (head := reader.head()):
            return head
        # One deadline for the whole head, however slowly its bytes trickle in.
        stream.set_deadline(options.head_timeout if first or started else options.keepalive_timeout)
        stream.idle = not started
        try:
            if not self._requests_left % TURN:
                stream.wait_until_readable()
            while data := stream.recv():
                stream.idle = False
                reader.feed(data)
                if head := reader.head():
                    return head
                if not (first or started) and reader.started:
                    started = True
                    stream.set_deadline(options.head_timeout)
        except TimeoutError:
            if reader.started:
                raise HTTPError(408, "The request took too long to arrive") from None
        return None

    def _answer(self, head: RequestHead) -> _After:
        """Let the application answer, and say how the connection goes on."""
        options = self.context.options
        body = None
        if head.body_length:
            body = RequestBody(head, self._reader, self.stream, options.body_timeout, options.max_body_size)
        may_persist = body.may_be_discarded if body else None
        response = Response(head, self.stream, options.body_timeout, may_persist, self.context.server_line)
        self._requests_left -= 1
        if not self._requests_left:
            response.keep_alive = False
        try:
            self._call(head, body, response)
        except (Exception, Timeout) as error:
            return self._fail(head, response, error)
        if self.taken:
            return _After.TAKEN
        self._log(head, response.status, response.bytes_sent)
        if response.incomplete:
            return _cut_off(response)
        if response.keep_alive and (body is None or body.discard()):
            return _After.NEXT
        unread = self._reader.started or self._reader.body_left
        return _After.LINGER if unread else _After.CLOSE

    def _call(self, head: RequestHead, body: RequestBody | None, response: Response) -> None:
        """Call the application and send what it returns."""
        context = self.context
        environ = context.environ.build(
            head, self.remote_address, body.buffered() if body else None, self.scheme
        )
        if self.extra_environ:
            environ.update(self.extra_environ)
        application = server_options if head.target == "*" else context.application
        result = application(environ, response.start_response)
        try:
            if not self.taken:
                response.send(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _fail(self, head: RequestHead, response: Response, error: BaseException) -> _After:
        """Answer a request whose application raised, if it is not too late for that."""
        if response.peer_gone:
            logger.debug("%s left while it was answered: %s", self.remote_address, error)
        elif isinstance(error, (RequestBodyError, HandshakeError)):
            logger.debug("The request of %s is refused: %s", self.remote_address, error)
        else:
            logger.error("The application failed at %s %r", head.method, head.target, exc_info=error)
        if self.taken:
            return _After.TAKEN
        if response.head_sent:
            self._log(head, response.status, response.bytes_sent)
            return _cut_off(response)
        if isinstance(error, RequestBodyError):
            return self._refuse(head, error.status, error.message)
        if isinstance(error, HandshakeError):
            return self._refuse(head, error.status, error.message, error.headers)
        return self._refuse(head, 500, "The server failed to answer this request")

    def _refuse(
        self,
        head: RequestHead | None,
        status: int,
        message: str,
        headers: Iterable[tuple[str, str]] = (),
    ) -> _After:
        """Answer in the application's place."""
        head_only = head is not None and head.method == "HEAD"
        server = self.context.server_line
        answer = plain_response(status, message, headers, head_only=head_only, server=server)
        self.stream.set_deadline(self.context.options.body_timeout)
        self.stream.sendall((answer,))
        self._log(head, status, len(answer.partition(b"\r\n\r\n")[2]))
        return _After.LINGER

    def _log(self, head: RequestHead | None, status: int, bytes_sent: int) -> None:
        log_access = self.context.log_access
        if log_access is not None:
            log_access(AccessEntry(self.remote_address, head, status, bytes_sent))


def _cut_off(response: Response) -> _After:
    """Let the client see that a response is not complete."""
    return _After.ABORT if response.ends_with_connection else _After.CLOSE
