"""A request and its response, in the greenlet that answers: the application is called, its failures answered.

The greenlet reads and writes in the blocking style, through ``Stream``. A number tells ``HTTPConnection``
what the connection does next.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from logging import INFO
from time import monotonic
from typing import Any

import gevent

from geventkws.backend import use_compiled
from geventkws.escape import escape
from geventkws.http.body import RequestBody
from geventkws.http.context import AccessEntry, HTTPContext, server_options
from geventkws.http.error_stream import ErrorStream
from geventkws.http.errors import ApplicationTimeoutError, HTTPError, RequestBodyError, forget_frames
from geventkws.http.head import CHUNKED, RequestHead
from geventkws.http.log import access_logger, logger
from geventkws.http.plain import plain_response
from geventkws.http.reader import RequestReader
from geventkws.http.response import Response
from geventkws.http.spool import body_limit, decoded
from geventkws.http.stream import Stream
from geventkws.http.takeover import Takeover
from geventkws.loop.channel import Channel
from geventkws.net.address import Address
from geventkws.protocol.refusals import HandshakeError

# What becomes of the connection after a request: plain numbers, since every request returns one.
NEXT = 0  # it persists
CLOSE = 1  # it closes at once; where a response is not complete, the client sees by that that it was cut off
ABORT = 2  # it is reset: where a response ends with the connection, only that shows that it was cut off
LINGER = 3  # it closes, but what the peer still sends is read away first: a reset could destroy the answer
GIVEN = 4  # it has another owner

EXITS = (gevent.GreenletExit, SystemExit, KeyboardInterrupt)
"""What ends an application without being a failure that has to be answered."""

SWITCHING_PROTOCOLS = 101


class Exchange:
    """Answers the requests of one connection, one after the other."""

    __slots__ = (
        "_context",
        "_is_secure",
        "_reader",
        "_requests_left",
        "began",
        "extra_environ",
        "proxied",
        "remote_address",
        "response",
        "stream",
        "takeover",
    )

    def __init__(self, stream: Stream, context: HTTPContext, reader: RequestReader, peer: Address) -> None:
        """Answer on ``stream`` what ``reader`` reads from ``peer``."""
        self.stream = stream
        self.remote_address = peer
        """The client's address. If the peer is a trusted proxy, the address that it forwards."""
        self.proxied: dict[str, str] | None = None
        """What a trusted proxy says about the environ of the request: scheme and port."""
        self.extra_environ: dict[str, Any] | None = None
        """Added to the environ of each request: what is known from TLS, and how to accept an upgrade."""
        self.response: Response | None = None
        """The application's answer to an upgrade request so far."""
        self.takeover: Takeover | None = None
        """How the application may take the connection of an upgrade request."""
        self.began = 0.0
        """When the request's head was complete, by ``time.monotonic``."""
        self._context = context
        self._reader = reader
        self._is_secure = stream.channel.transport.secure
        self._requests_left = context.options.max_requests or sys.maxsize

    def take(self) -> Channel:
        """Give the channel, open and with all answers sent, to another owner."""
        channel = self.stream.channel
        self.stream.is_given = True
        channel.resume()
        if self.stream.greenlet is not None:
            # The hub does not wait for this greenlet, so the new owner begins in a turn of its own.
            channel.queue(fresh=True)
        return channel

    def offer(self, check: Callable[[], None], read_ahead: bytes) -> Takeover:
        """Let the application take the connection, unless ``check`` raises, through what is returned."""
        self.takeover = Takeover(self.stream, check, read_ahead, self._context.body_timeout)
        return self.takeover

    def serve(self, head: RequestHead) -> int:
        """Answer the request that ``head`` begins; return what becomes of the connection. Never raises."""
        try:
            return self._serve(head)
        except OSError as error:
            logger.debug("The HTTP connection of %s was lost: %s", self.remote_address, error)
        except BaseException as error:
            self._report(error)
        return CLOSE

    def _serve(self, head: RequestHead) -> int:
        if self._is_secure and self.extra_environ is None:
            self.extra_environ = self.stream.channel.transport.environ()
        try:
            if head.upgrade and self._context.on_upgrade(self, head, self._reader.take_rest()):
                return GIVEN
        except HandshakeError as refusal:
            self._context.on_refusal(refusal)
            return self.refuse(head, refusal.status, refusal.message, refusal.headers)
        except HTTPError as error:
            return self.refuse(head, error.status, error.message, error.headers)
        try:
            after = self._answer(head)
        finally:
            if self.takeover is not None:
                self.takeover.end()
                if self.response is not None:
                    forget_frames(self.response.refusal)
                self.extra_environ = self.response = None  # they refer to this exchange
        return after if self.takeover is None else self._after_takeover(self.takeover, head, after)

    def _after_takeover(self, takeover: Takeover, head: RequestHead, after: int) -> int:
        """Return what becomes of a connection that the application might have taken."""
        if not takeover.is_taken:
            return after
        self._log_access(head, SWITCHING_PROTOCOLS, 0)
        return LINGER

    def _answer(self, head: RequestHead) -> int:
        """Let the application answer; return what becomes of the connection."""
        context = self._context
        body = None
        if head.body_length:
            limit = body_limit(head, context.options)
            body = RequestBody(head, self._reader, self.stream, context.body_timeout, limit)
        may_persist = body.may_be_discarded if body else None
        response = Response(head, self.stream, context.body_timeout, may_persist, context.server_line)
        if self.takeover is not None:
            self.response = self.takeover.answer = response
            response.takeover = self.takeover
        self._requests_left -= 1
        if not self._requests_left:
            response.keep_alive = False
        try:
            self._call(head, body, response)
        except EXITS as error:
            response.is_over = True
            self._report(error)
            return GIVEN if self.stream.is_given else self._cut_off(response)
        except BaseException as error:
            response.is_over = True
            if not response.complete:
                return self._fail(head, response, error)
            # In ``close()``, most likely. The client has the whole answer.
            text = "The application failed after its answer to %s %r"
            logger.error(text, head.method, head.target, exc_info=error)
        if self.stream.is_given:
            return GIVEN
        if head.upgrade and response.status != SWITCHING_PROTOCOLS:
            context.on_refusal(None)
        self._log(head, response.status, response.bytes_sent)
        if response.incomplete:
            return self._cut_off(response)
        if response.keep_alive and (body is None or body.discard()):
            return NEXT
        # Nothing is read after an upgrade request, so nobody knows what is there.
        unread = head.upgrade or self._reader.has_more() or self._reader.body_left
        return LINGER if unread else CLOSE

    def _call(self, head: RequestHead, body: RequestBody | None, response: Response) -> None:
        """Call the application and send what it returns."""
        context = self._context
        environ = context.environ.build(
            head, self.remote_address, body.buffered() if body else None, self.proxied
        )
        if self.extra_environ:
            environ.update(self.extra_environ)
        if body is not None:
            environ["wsgi.errors"] = ErrorStream(environ["wsgi.errors"], body)
        application = server_options if head.target == "*" else context.application
        if body is not None and head.body_length == CHUNKED:
            with decoded(environ, body, context.options):
                self._run(application, environ, body, response)
        elif self.takeover is None:
            self._run(application, environ, body, response)
        else:
            with self.takeover.during(environ):
                self._run(application, environ, body, response)

    def _run(
        self, application: Any, environ: dict[str, Any], body: RequestBody | None, response: Response
    ) -> None:
        result = application(environ, response.start_response)
        try:
            if body is not None and not response.head_sent and not self.stream.is_given:
                body.check_answer(response.status)
            response.send(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        if response.refusal is not None:
            raise response.refusal

    def _fail(self, head: RequestHead, response: Response, error: BaseException) -> int:
        """Answer a request whose application raised, if it is not too late for that."""
        if response.peer_gone:
            logger.debug("%s left while it was answered: %s", self.remote_address, error)
        elif isinstance(error, (RequestBodyError, HandshakeError, ApplicationTimeoutError)):
            logger.debug("The request of %s is refused: %s", self.remote_address, escape(error))
        else:
            logger.error("The application failed at %s %r", head.method, head.target, exc_info=error)
        if self.stream.is_given:
            return GIVEN
        if head.upgrade:
            self._context.on_refusal(error if isinstance(error, HandshakeError) else None)
        if response.head_sent:
            self._log(head, response.status, response.bytes_sent)
            return self._cut_off(response)
        if isinstance(error, (RequestBodyError, ApplicationTimeoutError)):
            return self.refuse(head, error.status, error.message)
        if isinstance(error, HandshakeError):
            return self.refuse(head, error.status, error.message, error.headers)
        return self.refuse(head, 500, "The server failed to answer this request")

    def _cut_off(self, response: Response) -> int:
        """Let the client see that a response was cut off, if it was."""
        if response.complete:
            return LINGER
        if response.ends_with_connection:
            return ABORT
        if self.stream.channel.awaits_room:
            self.stream.channel.release()  # nobody waits for the peer any more: the rest will not leave
        return CLOSE

    def refuse(
        self,
        head: RequestHead | None,
        status: int,
        message: str,
        headers: Iterable[tuple[str, str]] = (),
    ) -> int:
        """Answer in place of the application; return what becomes of the connection.

        ``head`` is ``None`` if the request was not understood.
        """
        head_only = head is not None and head.method == "HEAD"
        server = self._context.server_line
        answer = plain_response(status, message, headers, head_only=head_only, server=server)
        self.stream.send_soon(answer)
        self._log(head, status, len(answer.partition(b"\r\n\r\n")[2]))
        return LINGER

    def _log(self, head: RequestHead | None, status: int, bytes_sent: int) -> None:
        durations = self._context.request_durations
        if durations is not None:
            durations.observe("" if head is None else head.method, status, monotonic() - self.began)
        self._log_access(head, status, bytes_sent)

    def _log_access(self, head: RequestHead | None, status: int, bytes_sent: int) -> None:
        log_access = self._context.log_access
        if log_access is not None and access_logger.isEnabledFor(INFO):
            seconds = monotonic() - self.began
            log_access(AccessEntry(self.remote_address, head, status, bytes_sent, seconds))

    def _report(self, error: BaseException) -> None:
        """Report to the hub what no application should raise, unless the greenlet was killed."""
        if not isinstance(error, gevent.GreenletExit):
            self.stream.channel.loop.report(error)


use_compiled(__name__, globals())
