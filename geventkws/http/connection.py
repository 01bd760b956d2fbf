"""An HTTP connection: request heads in, the application's responses out, until it closes.

Idle, it is a watcher and a few fields. Its heads are read in the hub; each request then borrows a greenlet,
which reads the body and writes the response in the blocking style, by ``Stream``. What arrives meanwhile is
read ahead, up to a limit, and answered in order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from logging import INFO
from time import monotonic
from typing import Any

import gevent
from gevent import Timeout

from geventkws.backend import use_compiled
from geventkws.escape import escape
from geventkws.http.body import RequestBody, check_size
from geventkws.http.context import AccessEntry, HTTPContext, server_options
from geventkws.http.errors import HTTPError, RequestBodyError, TLSGreetingError
from geventkws.http.head import CHUNKED, RequestHead
from geventkws.http.log import access_logger, logger
from geventkws.http.reader import RequestReader
from geventkws.http.response import Response, plain_response
from geventkws.http.spool import body_limit, decoded
from geventkws.http.stream import MAX_OUTPUT, NEVER, OPEN_END, Stream
from geventkws.loop.channel import Channel
from geventkws.loop.farewell import Farewell
from geventkws.net.address import Address, spelled
from geventkws.protocol.handshake import HandshakeError

HALF_CLOSE_GRACE = 1.0
"""Seconds from the start of a response in which the end of the client's stream may belong to its request."""

READ_AHEAD = 64 * 1024
"""Bytes that are read while the application is at work; the rest stays in the kernel."""

SPEAKS_TLS = (
    "A client speaks TLS to a port that does not: write http:// or ws:// in its address, or give the server"
    " certfile and keyfile, or ssl_context"
)


# What the connection waits for, in plain numbers, since every request asks:
_HEAD = 0  # for the next request, or the rest of its head
_WORK = 1  # for the application to answer
_CLOSING = 2  # for the output to leave, after which it is closed
_OVER = 3  # for nothing: it is closed
_TAKEN = 4  # for nothing: the channel has another owner

# What becomes of the connection after a request:
_NEXT = 0  # it persists
_CLOSE = 1  # it closes at once; where a response is not complete, the client sees by that that it was cut off
_ABORT = 2  # it is reset: where a response ends with the connection, only that shows that it was cut off
_LINGER = 3  # it closes, but what the peer still sends is read away first: a reset could destroy the answer
_GIVEN = 4  # it is no longer ours


class HTTPConnection:
    """The owner of a client's channel that speaks HTTP."""

    __slots__ = (
        "_greenlet",
        "_head",
        "_idle",
        "_is_secure",
        "_lingers",
        "_phase",
        "_reader",
        "_requests_left",
        "_trusted",
        "channel",
        "context",
        "extra_environ",
        "peer",
        "proxied",
        "remote_address",
        "response",
        "stream",
    )

    def __init__(self, channel: Channel, context: HTTPContext, peer: Address) -> None:
        """Become the owner of ``channel``, whose first request head is to come."""
        self.channel = channel
        self.stream = Stream(channel)
        """What the greenlet that answers a request reads and writes by."""
        self.context = context
        self.remote_address = peer
        """The client's address: of a trusted proxy's requests, the one that the request came from."""
        self.proxied: dict[str, str] | None = None
        """What a trusted proxy says about the environ of the request: scheme and port."""
        self.peer = peer
        """Who is connected: the client, or a proxy."""
        self.extra_environ: dict[str, Any] | None = None
        """Added to the environ of each request: what TLS says; and how to accept an upgrade."""
        self.response: Response | None = None
        """The application's answer to an upgrade request, as far as it has got."""
        self._is_secure = channel.transport.secure
        self._trusted = context.proxies.trusts(peer)
        options = context.options
        self._reader = RequestReader(options)
        self._requests_left = options.max_requests or sys.maxsize
        self._phase = _HEAD
        self._head: RequestHead | None = None
        self._greenlet: Any = None
        self._idle = False
        self._lingers = False
        self.stream.set_deadline(options.head_timeout)
        channel.owner = self

    @property
    def greenlet(self) -> Any:
        """The greenlet that answers a request and has blocked, if there is one."""
        return self._greenlet

    def take(self) -> Channel:
        """Hand the channel over, open and all answers sent, to another owner."""
        self._phase = _TAKEN
        self.stream.is_given = True
        self.channel.resume()
        if self._greenlet is not None:
            # The hub does not wait for this greenlet, so the new owner begins in a turn of its own.
            self.channel.queue(fresh=True)
        return self.channel

    # What the channel asks (in the hub)

    def _readable(self) -> bool:
        if self.stream.receiver is not None:
            self.stream.wake_receiver()  # the greenlet receives by itself
            return False
        if self.stream.ended or self._has_read_enough():
            self.channel.pause()
            return False
        try:
            data = self.channel.recv()
        except OSError as error:
            self._lost(error)
            return False
        if self.channel.is_pending():
            self.channel.cork()
        if data is None:
            return False
        if data:
            self._reader.feed(data)
        else:
            self.stream.ended = True
            self.channel.pause()
            if self.stream.awaited == OPEN_END and self._has_had_time():
                self._end_application()
        if self._phase == _HEAD:
            self._go_on()
        return bool(data)

    def _has_read_enough(self) -> bool:
        """Return whether the rest can wait: more than the largest head is there, so no head waits for it."""
        if self._head is not None and self._head.upgrade:
            return True  # what is behind it is not for HTTP
        buffered = self._reader.buffered()
        return buffered >= READ_AHEAD and buffered > self.context.max_head_size

    def _proceed(self) -> None:
        if self._phase == _HEAD:
            self._go_on()

    def _flush(self) -> None:
        self.stream.offer()
        if self.channel.awaits_room:
            return
        if self.stream.sender is not None:
            self.stream.wake_sender()
        elif self._phase == _CLOSING:
            self._close_now()
        elif self._phase == _HEAD and (self._reader.has_more() or self.stream.ended):
            self.channel.queue()  # its next request, or its end, was held back until the answers had left

    def _crashed(self, error: BaseException) -> None:
        loop: Any = self.channel.loop
        loop.explain(error)
        loop.guard(self._lost, error)

    def _check(self, now: float) -> None:
        stuck = self.channel.awaits_room and self.stream.sender is None
        limit = self.context.body_timeout
        if stuck and self._phase != _WORK:
            if limit is not None and now - self.stream.stuck_since >= limit:
                self._lost(TimeoutError("the peer takes nothing of its answer"))
        elif now >= self.stream.deadline:
            self._overdue()

    def _hurry(self) -> None:
        self.stream.hurried = True
        if self._phase == _HEAD and not self._reader.has_more() and not self.channel.is_queued:
            self.channel.loop.begin_turn()
            self._readable()  # a request that is here is answered
        if self._phase == _HEAD and not self._reader.has_more():
            self._end(_CLOSE)

    def _abandon(self) -> None:
        if self._greenlet is not None:
            gevent.kill(self._greenlet)
        else:
            self._lost(TimeoutError("the server stops"))

    def _forsake(self) -> None:
        self._phase = _OVER
        self.channel.release()

    def _is_busy(self) -> bool:
        return self._phase in (_WORK, _CLOSING) or self._reader.has_more()

    def _describe(self) -> str:
        peer = spelled(self.remote_address)
        if self._phase == _CLOSING:
            return f"{peer} (has not taken its answer)"
        head = self._head
        return (
            f"{peer} (a request is arriving)" if head is None else f"{head.method} {head.target!r} of {peer}"
        )

    def _blocked(self, worker: Any) -> None:
        self._greenlet = worker

    # Requests (in the hub)

    def _go_on(self) -> None:
        """Start the requests that have arrived, one after the other, until the turn is over."""
        loop = self.channel.loop
        while self._phase == _HEAD:
            if self.stream.output_size >= MAX_OUTPUT:
                self.stream.offer()
            if self.channel.awaits_room:
                break  # what the peer does not read of its answers must not grow
            head = self._next_head()
            if head is None:
                break
            self._head = head
            self._phase = _WORK
            self.stream.deadline = NEVER
            if self.context.start is None:
                loop.lend(self)
            else:
                self.context.start(self)
            if self._phase == _TAKEN:
                self.channel.owner._proceed()
                break
            if not (self._reader.has_more() or self.stream.ended):
                break
            if loop.turn_is_over() and self._phase == _HEAD:
                self.channel.queue()
                break
        if self._phase == _HEAD and not self.stream.ended and not self._has_read_enough():
            self.channel.resume()

    def _next_head(self) -> RequestHead | None:
        """Return the next request's head, if it has all arrived; answer one that must be refused."""
        reader, head = self._reader, None
        try:
            head = reader.head()
            if head is not None:
                if self._trusted:
                    self.remote_address = self.peer
                    forwarded = self.context.proxies.resolve(head, self.peer)
                    head, self.remote_address = forwarded.head, forwarded.client
                    self.proxied = forwarded.environ
                check_size(head, self.context.max_body_size)
                return head
        except HTTPError as error:
            if isinstance(error, TLSGreetingError):
                self.context.warn_once(SPEAKS_TLS)
            self._end(self._refuse(head, error.status, error.message, error.headers))
            return None
        if self.stream.ended:
            self._end(_CLOSE)
        elif self._idle and reader.has_more():
            # One deadline for the whole head, however slowly its bytes trickle in.
            self._idle = False
            self.stream.set_deadline(self.context.head_timeout)
        return None

    def _overdue(self) -> None:
        """End a wait that is too long, unless the peer's bytes are there by now, or wait for their turn."""
        if self._phase == _WORK:
            self.stream.wake()
        elif self._phase == _HEAD and not self.channel.is_queued:
            deadline = self.stream.deadline
            self.channel.loop.begin_turn()
            self._readable()
            if self.stream.deadline == deadline:
                self._end_overdue_head()

    def _end_overdue_head(self) -> None:
        if self._phase == _HEAD and self._reader.has_more():
            self._end(self._refuse(None, 408, "The request took too long to arrive"))
        elif self._phase == _HEAD:
            self._end(_CLOSE)

    # The end of a request, and of the connection (in any greenlet)

    def _end(self, after: int) -> None:
        """Go on after a request that was answered, or never will be."""
        self._greenlet = self._head = None
        if after == _GIVEN:
            return
        if not self.channel.is_open:
            self._over()
        elif after == _ABORT:
            self._over(reset=True)
        elif after == _NEXT and not self.stream.hurried:
            self._phase = _HEAD
            self._idle = True
            self.stream.set_deadline(self.context.keepalive_timeout)
        else:
            self._phase = _CLOSING
            self._lingers = after == _LINGER
            self.stream.deadline = NEVER
            self.channel.cork()

    def _close_now(self) -> None:
        """Close, now that all output has left; not at once where the peer may still be sending."""
        if not self._lingers or self.stream.ended:
            self._over()
        else:
            self._phase = _TAKEN
            Farewell(self.channel, self.context.close_timeout, self.context.on_over)

    def _lost(self, error: BaseException) -> None:
        """Give up the connection; an application at work learns of it when it reads or writes."""
        logger.debug("The HTTP connection of %s was lost: %s", self.remote_address, error)
        if self._phase in (_OVER, _TAKEN):
            return
        if self._greenlet is not None:
            self.stream.ended = True
            self.stream.forget_output()
            self.channel.release()
            self.stream.wake()
            if self.stream.awaited:
                self._end_application()
        else:
            self._over()

    def _has_had_time(self) -> bool:
        """Return whether the end of the client's stream comes too late to belong to its request."""
        since: float = self.stream.streams_since
        return monotonic() - since >= HALF_CLOSE_GRACE

    def _end_application(self) -> None:
        """End an application that takes its time with the next part of a response: nobody waits for it."""
        if self.context.options.end_abandoned_responses and self._greenlet is not None:
            gevent.kill(self._greenlet)

    def _over(self, reset: bool = False) -> None:
        self._phase = _OVER
        self.channel.release(reset)
        self.context.on_over(self.channel)

    # A request (in its greenlet)

    def _work(self) -> None:
        """Answer the request whose head has arrived. Never raises."""
        if self._phase != _WORK:
            return  # it was lost before its turn came
        after = _CLOSE
        try:
            after = self._serve()
        except OSError as error:
            logger.debug("The HTTP connection of %s was lost: %s", self.remote_address, error)
        except BaseException as error:
            self._report(error)
        is_away = self._greenlet is not None
        self._end(after)
        if is_away:
            # The hub has gone on without waiting for this greenlet.
            self.channel.queue(fresh=True)

    def _report(self, error: BaseException) -> None:
        """Tell the hub of what no application should raise; that it was killed is no news."""
        if not isinstance(error, gevent.GreenletExit):
            loop: Any = self.channel.loop
            loop.report(error)

    def _serve(self) -> int:
        head = self._head
        assert head is not None
        if self._is_secure and self.extra_environ is None:
            self.extra_environ = self.channel.transport.environ()
        try:
            if head.upgrade and self.context.on_upgrade(self, head, self._reader.take_rest()):
                return _GIVEN
        except (HTTPError, HandshakeError) as error:
            return self._refuse(head, error.status, error.message, error.headers)
        return self._answer(head)

    def _answer(self, head: RequestHead) -> int:
        """Let the application answer, and say how the connection goes on."""
        context = self.context
        body = None
        if head.body_length:
            limit = body_limit(head, context.options)
            body = RequestBody(head, self._reader, self.stream, context.body_timeout, limit)
        may_persist = body.may_be_discarded if body else None
        response = Response(head, self.stream, context.body_timeout, may_persist, context.server_line)
        if head.upgrade:
            self.response = response
        self._requests_left -= 1
        if not self._requests_left:
            response.keep_alive = False
        try:
            self._call(head, body, response)
        except (Exception, Timeout) as error:
            response.is_over = True
            if not response.complete:
                return self._fail(head, response, error)
            # In ``close()``, most likely. The client has all that it was to get.
            text = "The application failed behind its answer to %s %r"
            logger.error(text, head.method, head.target, exc_info=error)
        except BaseException as error:
            response.is_over = True
            self._report(error)
            return _GIVEN if self._phase == _TAKEN else self._cut_off(response)
        if self._phase == _TAKEN:
            return _GIVEN
        self._log(head, response.status, response.bytes_sent)
        if response.incomplete:
            return self._cut_off(response)
        if response.keep_alive and (body is None or body.discard()):
            return _NEXT
        unread = self._reader.has_more() or self._reader.body_left
        return _LINGER if unread else _CLOSE

    def _call(self, head: RequestHead, body: RequestBody | None, response: Response) -> None:
        """Call the application and send what it returns."""
        context = self.context
        environ = context.environ.build(
            head, self.remote_address, body.buffered() if body else None, self.proxied
        )
        if self.extra_environ:
            environ.update(self.extra_environ)
        application = server_options if head.target == "*" else context.application
        if body is not None and head.body_length == CHUNKED:
            with decoded(environ, body, context.options):
                self._run(application, environ, body, response)
        else:
            self._run(application, environ, body, response)

    def _run(
        self, application: Any, environ: dict[str, Any], body: RequestBody | None, response: Response
    ) -> None:
        result = application(environ, response.start_response)
        try:
            if body is not None and not response.head_sent and self._phase != _TAKEN:
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
        elif isinstance(error, (RequestBodyError, HandshakeError)):
            logger.debug("The request of %s is refused: %s", self.remote_address, escape(error))
        else:
            logger.error("The application failed at %s %r", head.method, head.target, exc_info=error)
        if self._phase == _TAKEN:
            return _GIVEN
        if response.head_sent:
            self._log(head, response.status, response.bytes_sent)
            return self._cut_off(response)
        if isinstance(error, RequestBodyError):
            return self._refuse(head, error.status, error.message)
        if isinstance(error, HandshakeError):
            return self._refuse(head, error.status, error.message, error.headers)
        return self._refuse(head, 500, "The server failed to answer this request")

    def _cut_off(self, response: Response) -> int:
        """Let the client see that a response is not complete, if it is not."""
        if response.complete:
            return _LINGER
        if response.ends_with_connection:
            return _ABORT
        if self.channel.awaits_room:
            self.channel.release()  # what has not left will not: nobody waits for the peer any more
        return _CLOSE

    def _refuse(
        self,
        head: RequestHead | None,
        status: int,
        message: str,
        headers: Iterable[tuple[str, str]] = (),
    ) -> int:
        """Answer in the application's place."""
        head_only = head is not None and head.method == "HEAD"
        server = self.context.server_line
        answer = plain_response(status, message, headers, head_only=head_only, server=server)
        self.stream.send_soon(answer)
        self._log(head, status, len(answer.partition(b"\r\n\r\n")[2]))
        return _LINGER

    def _log(self, head: RequestHead | None, status: int, bytes_sent: int) -> None:
        log_access = self.context.log_access
        if log_access is not None and access_logger.isEnabledFor(INFO):
            log_access(AccessEntry(self.remote_address, head, status, bytes_sent))


use_compiled(__name__, globals())
