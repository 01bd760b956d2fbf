"""An HTTP connection: request heads in, the application's responses out, until it closes.

While idle, it is a watcher and a few fields. Heads are read in the hub; each request then borrows a greenlet,
which reads the body and writes the response in the blocking style, through ``Stream``. What arrives meanwhile
is read ahead, up to a limit, and answered in order.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import gevent

from geventkws.backend import use_compiled
from geventkws.http.body import check_size
from geventkws.http.context import HTTPContext
from geventkws.http.errors import HTTPError, TLSGreetingError
from geventkws.http.exchange import ABORT, CLOSE, GIVEN, LINGER, NEXT, Exchange
from geventkws.http.head import RequestHead
from geventkws.http.log import logger
from geventkws.http.overdue import end_overdue
from geventkws.http.reader import RequestReader
from geventkws.http.stream import MAX_OUTPUT, NEVER, OPEN_END, Stream
from geventkws.loop import roles
from geventkws.loop.channel import Channel
from geventkws.loop.farewell import Farewell
from geventkws.net.address import Address, spelled

HALF_CLOSE_GRACE = 1.0
"""Seconds after the start of a response in which a half-close by the client still ends its request."""

FIRST_REQUEST = 1.0
"""Seconds that a new connection has to send its first request when the server stops."""

READ_AHEAD = 64 * 1024
"""Bytes that are read while the application is working; the rest stays in the kernel."""

SPEAKS_TLS = (
    "A client speaks TLS to a port that does not: write http:// or ws:// in its address, or give the server"
    " certfile and keyfile, or ssl_context"
)

LOST_UPGRADE = (
    "The handshake of a WebSocket has arrived without 'Upgrade: websocket' and 'Connection: Upgrade', so it"
    " is answered like any other request: let the proxy in front pass them on, over HTTP/1.1"
)


# What the connection waits for: plain numbers, since every request compares them.
_HEAD = 0  # for the next request, or the rest of its head
_WORK = 1  # for the application to answer
_CLOSING = 2  # for the output to leave, after which it is closed
_OVER = 3  # for nothing: it is closed, or the channel has another owner


class HTTPConnection(roles.Owner):
    """The owner of a client's channel that speaks HTTP."""

    __slots__ = (
        "_context",
        "_dismissed",
        "_exchange",
        "_head",
        "_idle",
        "_lingers",
        "_peer",
        "_phase",
        "_probed",
        "_reader",
        "_trusted",
        "channel",
        "stream",
    )

    def __init__(self, channel: Channel, context: HTTPContext, peer: Address) -> None:
        """Become the owner of ``channel``, to read requests from ``peer``, which is a client or a proxy."""
        options = context.options
        self.channel = channel
        self.stream = Stream(channel)
        """What the greenlet that answers a request reads from and writes to."""
        self._context = context
        self._peer = peer
        self._reader = RequestReader(options)
        self._exchange = Exchange(self.stream, context, self._reader, peer)
        self._trusted = context.proxies.trusts(peer)
        self._phase = _HEAD
        self._head: RequestHead | None = None
        self._idle = False
        self._lingers = False
        self._dismissed = False
        self._probed = False
        self.stream.set_deadline(options.head_timeout)
        channel.owner = self

    @property
    def greenlet(self) -> Any:
        """The greenlet that answers a request and has blocked, if there is one."""
        return self.stream.greenlet

    # What the channel asks (in the hub)

    def _readable(self) -> bool:
        if self.stream.receiver is not None:
            self.stream.wake_receiver()  # the greenlet itself receives
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
        """Return whether the rest can wait: with more than the largest head here, no head needs it."""
        if self._head is not None and self._head.upgrade:
            return True  # what follows may not be HTTP
        buffered = self._reader.buffered()
        return buffered >= READ_AHEAD and buffered > self._context.max_head_size

    def _proceed(self) -> None:
        if self._phase == _HEAD:
            self._go_on()

    def _flush(self) -> None:
        self.stream.offer(self._phase == _CLOSING and self._closes_at_once())
        if self.channel.awaits_room:
            return
        if self.stream.sender is not None:
            self.stream.wake_sender()
        elif self._phase == _CLOSING:
            self._close_now()
        elif self._phase == _HEAD and (self._reader.has_more() or self.stream.ended):
            self.channel.queue()  # the next request, or the end, had to wait until the answers had left

    def _crashed(self, error: BaseException) -> None:
        loop: Any = self.channel.loop
        loop.explain(error)
        loop.guard(self._lost, error)

    def _check(self, now: float) -> None:
        stuck = self.channel.awaits_room and self.stream.sender is None
        limit = self._context.body_timeout
        if stuck and self._phase != _WORK:
            if limit is not None and now - self.stream.stuck_since >= limit:
                self.channel.flush()  # the peer may have made room while the hub was busy
                if self.channel.awaits_room:
                    self._lost(TimeoutError("the peer is not reading its answer"))
        elif now >= self.stream.deadline:
            self._overdue()
        if now >= self.stream.answer_by:
            self._dismiss(now)
        if self.stream.ended and self._phase == _WORK and self.channel.is_open and not self.stream.is_given:
            self._look_for_client()

    def _hurry(self) -> None:
        self.stream.hurried = True
        if self._phase == _HEAD and not self._reader.has_more() and not self.channel.is_queued:
            self.channel.loop.begin_turn()
            self._readable()  # a request that has already arrived is answered
        if self._awaits_first_request() and not self.stream.ended:
            # It was accepted just before, perhaps, and its request is on the way.
            self.stream.deadline = min(self.stream.deadline, monotonic() + FIRST_REQUEST)
        elif self._phase == _HEAD and not self._reader.has_more():
            self._end(CLOSE)

    def _awaits_first_request(self) -> bool:
        return self._phase == _HEAD and not self._idle and not self._reader.has_more()

    def _abandon(self) -> None:
        if self.stream.greenlet is not None:
            gevent.kill(self.stream.greenlet)
        else:
            self._lost(TimeoutError("the server stops"))

    def _forsake(self) -> None:
        self._phase = _OVER
        self.channel.release()

    def _is_busy(self) -> bool:
        at_work = self._phase in (_WORK, _CLOSING)
        return at_work or self._reader.has_more() or self._awaits_first_request()

    def _describe(self) -> str:
        peer = spelled(self._exchange.remote_address)
        if self._phase == _CLOSING:
            return f"{peer} (has not taken its answer)"
        head = self._head
        return (
            f"{peer} (a request is arriving)" if head is None else f"{head.method} {head.target!r} of {peer}"
        )

    def _blocked(self, worker: Any) -> None:
        self.stream.greenlet = worker

    # Requests (in the hub)

    def _go_on(self) -> None:
        """Start the requests that have arrived, one after the other, until the turn is over."""
        loop = self.channel.loop
        while self._phase == _HEAD:
            if self.stream.output_size >= MAX_OUTPUT:
                self.stream.offer()
            if self.channel.awaits_room:
                break  # answers that the peer does not read must not pile up
            self._exchange.began = monotonic()
            head = self._next_head()
            if head is None:
                break
            self._head = head
            self._phase = _WORK
            self.stream.deadline = NEVER
            if self._context.start is None:
                loop.lend(self)
            elif not self._context.start(self):
                self._end(self._exchange.refuse(head, 503, "Too many requests are waiting"))
            if self.stream.is_given:
                owner = self.channel.owner
                owner._proceed()
                break
            if not (self._reader.has_more() or self.stream.ended):
                break
            if loop.turn_is_over() and self._phase == _HEAD:
                self.channel.queue()
                break
        if self._phase == _HEAD and not self.stream.ended and not self._has_read_enough():
            self.channel.resume()

    def _next_head(self) -> RequestHead | None:
        """Return the next request's head if all of it has arrived; answer one that must be refused."""
        reader, head = self._reader, None
        try:
            head = reader.head()
            if head is not None:
                if self._trusted:
                    head = self._forwarded(head)
                check_size(head, self._context.max_body_size)
                if head.lost_upgrade:
                    self._context.warn_once(LOST_UPGRADE)
                return head
        except HTTPError as error:
            if isinstance(error, TLSGreetingError):
                self._context.warn_once(SPEAKS_TLS)
            self._end(self._exchange.refuse(head, error.status, error.message, error.headers))
            return None
        if self.stream.ended:
            self._end(CLOSE)
        elif self._idle and reader.has_more():
            # One deadline for the whole head, however slowly its bytes trickle in.
            self._idle = False
            self.stream.set_deadline(self._context.head_timeout)
        return None

    def _forwarded(self, head: RequestHead) -> RequestHead:
        """Return the head of a request as the client sent it to the trusted proxy that is our peer."""
        exchange = self._exchange
        exchange.remote_address = self._peer  # the proxy's own request, if what it says is refused
        forwarded = self._context.proxies.resolve(head, self._peer)
        exchange.remote_address, exchange.proxied = forwarded.client, forwarded.environ
        return forwarded.head

    def _overdue(self) -> None:
        """End a wait that is too long, unless bytes have arrived by now, or are waiting for their turn."""
        if self._phase == _WORK:
            self.stream.wake()
        elif self._phase == _HEAD and not self.channel.is_queued:
            deadline = self.stream.deadline
            self.channel.loop.begin_turn()
            self._readable()
            if self.stream.deadline == deadline:
                self._end_overdue_head()

    def _dismiss(self, now: float) -> None:
        """End an application that takes too long to answer; if it does not end, leave it without a client."""
        stream, limit = self.stream, self._context.request_timeout
        assert limit is not None
        if stream.receiver is not None:
            stream.answer_by = now + limit  # it waits for the client, who has time limits of its own
        elif self._dismissed:
            stream.answer_by = NEVER
            self._lost(TimeoutError("the application does not end"))
        else:
            self._dismissed = stream.hurried = True
            stream.answer_by = now + self._context.close_timeout
            assert self._head is not None
            end_overdue(stream, self._head, limit)

    def _end_overdue_head(self) -> None:
        if self._phase == _HEAD and self._reader.has_more():
            self._end(self._exchange.refuse(None, 408, "The request took too long to arrive"))
        elif self._phase == _HEAD:
            self._end(CLOSE)

    # The end of a request, and of the connection (in any greenlet)

    def _end(self, after: int) -> None:
        """Go on after a request, whether it was answered or never will be."""
        self.stream.greenlet = self._head = None
        if after == GIVEN:
            self._phase = _OVER  # and the new owner says whether the connection counts as new
            return
        self.channel.is_new = False
        if not self.channel.is_open:
            self._over()
        elif after == ABORT:
            self._over(reset=True)
        elif after == NEXT and not self.stream.hurried:
            self._phase = _HEAD
            self._idle = True
            self.stream.set_deadline(self._context.keepalive_timeout)
        else:
            self._phase = _CLOSING
            self._lingers = after == LINGER
            self.stream.deadline = NEVER
            self.channel.cork()

    def _close_now(self) -> None:
        """Close, now that all output has left; first let the peer finish if it may still be sending."""
        if self._closes_at_once():
            self._over()
        else:
            self._phase = _OVER
            Farewell(self.channel, self._context.close_timeout, self._context.on_over)

    def _closes_at_once(self) -> bool:
        """Return whether nothing is to be expected of the peer any more."""
        return not self._lingers or self.stream.ended

    def _lost(self, error: BaseException) -> None:
        """Give up the connection; an application at work learns of it when it reads or writes."""
        logger.debug("The HTTP connection of %s was lost: %s", self._exchange.remote_address, error)
        if self._phase == _OVER:
            return
        if self.stream.greenlet is not None:
            self.stream.ended = True
            self.stream.forget_output()
            self.channel.release()
            self.stream.wake()
            if self.stream.awaited:
                self._end_application()
        else:
            self._over()

    def _has_had_time(self) -> bool:
        """Return whether the client's half-close came too late to be the end of its request."""
        since: float = self.stream.streams_since
        return monotonic() - since >= HALF_CLOSE_GRACE

    def _look_for_client(self) -> None:
        """Give up a client that has not only ended its stream, but is not there any more."""
        transport = self.channel.transport
        if not self._probed:
            self._probed = True
            transport.probe()
        elif transport.is_gone():
            self._lost(ConnectionResetError("the client has gone"))

    def _end_application(self) -> None:
        """End an application that is busy with the next part of a response that nobody waits for any more."""
        if self._context.options.end_abandoned_responses and self.stream.greenlet is not None:
            gevent.kill(self.stream.greenlet)

    def _over(self, reset: bool = False) -> None:
        self._phase = _OVER
        self.channel.release(reset)
        self._context.on_over(self.channel)

    # A request (in its greenlet)

    def _work(self) -> None:
        """Answer the request whose head has arrived. Never raises."""
        if self._phase != _WORK:
            return  # it was lost before its turn came
        head = self._head
        assert head is not None
        if self._context.request_timeout is not None:
            self.stream.answer_by = monotonic() + self._context.request_timeout
        after = self._exchange.serve(head)
        self.stream.answer_by = NEVER
        is_away = self.stream.greenlet is not None
        self._end(after)
        if is_away:
            # The hub has not waited for this greenlet.
            self.channel.queue(fresh=True)


use_compiled(__name__, globals())
