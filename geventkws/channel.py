"""The socket side of a connection: read watcher, receive, cork, flush, and the end of the descriptor.

A channel moves bytes and leaves their meaning to the class on top of it (``handle``,
``end_of_stream``, ``lost``, ``flushed``). Everything here runs in the hub or in a greenlet of the
hub's thread, and nothing here waits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any

from geventkws.frameloop import FrameLoop
from geventkws.protocol.endpoint import Endpoint
from geventkws.protocol.messages import Event
from geventkws.transport import Transport

logger = logging.getLogger("geventkws.server")

READ = 1
WRITE = 2


class Channel:
    """An endpoint on a transport, driven by one read watcher whose callback is the channel itself."""

    __slots__ = (
        "_corked",
        "_endpoint",
        "_heard_at",
        "_loop",
        "_paused_at",
        "_pinged_at",
        "_pong",
        "_reader",
        "_stuck_since",
        "_transport",
        "_writer",
    )

    def __init__(self, loop: FrameLoop, transport: Transport, endpoint: Endpoint) -> None:
        self._loop = loop
        self._transport = transport
        self._endpoint = endpoint
        self._reader: Any = None
        self._writer: Any = None
        self._corked = False
        self._heard_at = monotonic()
        self._pinged_at: float | None = None
        self._paused_at: float | None = None
        self._stuck_since = 0.0
        self._pong: bytes | None = None

    # What the class on top of a channel does

    def handle(self, events: Sequence[Event]) -> None:
        """Take what the peer sent. In the hub only."""
        raise NotImplementedError

    def end_of_stream(self) -> None:
        """Take note that the peer will send nothing more; it may still read."""
        raise NotImplementedError

    def lost(self) -> None:
        """Take note that the connection is gone."""
        raise NotImplementedError

    def flushed(self) -> None:
        """Take note that some or all of the output has left."""
        raise NotImplementedError

    # Receiving

    def start_reading(self) -> None:
        """Watch the descriptor, from now until ``release``."""
        self._reader = self._loop.hub.loop.io(self._transport.fileno(), READ)
        self._reader.start(self)

    def __call__(self) -> None:
        """Receive what has arrived: the read watcher's callback. Nothing is raised out of it."""
        try:
            self._receive()
        except BaseException:
            # libev would stop the watcher, libuv throw into the main greenlet.
            logger.exception("internal error; the connection is dropped")
            self.lost()
        self._loop.flush()

    def _receive(self) -> None:
        buffer = self._loop.buffer
        try:
            count = self._transport.recv_into(buffer)
        except OSError:
            self.lost()
            return
        if count:
            self._heard_at = monotonic()
            self._pinged_at = None
            self.handle(self._endpoint.receive(buffer[:count]))
            if self._transport.pending:
                self._wait_until_writable()
        elif count is not None:
            self.end_of_stream()

    def pause_reading(self) -> None:
        """Leave what arrives in the kernel, which will slow the peer down. The idle clock stands still."""
        if self._paused_at is None and self._reader is not None:
            self._paused_at = monotonic()
            self._reader.stop()

    def resume_reading(self) -> None:
        """Read again after ``pause_reading``."""
        if self._paused_at is not None and self._reader is not None:
            paused = monotonic() - self._paused_at
            self._heard_at += paused
            if self._pinged_at is not None:
                self._pinged_at += paused
            self._paused_at = None
            self._reader.start(self)

    # Sending

    def cork(self) -> None:
        """Let the output leave when the running batch ends or blocks, with all that is added until then."""
        if not self._corked:
            self._corked = True
            self._loop.cork(self)

    def pong(self, payload: bytes) -> None:
        """Answer a ping; while the peer takes nothing, only its latest ping is answered (RFC 6455, 5.5.3)."""
        if self._writer is not None:
            self._pong = payload
        else:
            self._endpoint.pong(payload)
            self.cork()

    def flush(self) -> None:
        """Offer the output to the socket; what it does not take waits for a write watcher. Never raises."""
        self._corked = False
        endpoint, transport = self._endpoint, self._transport
        try:
            while endpoint.output or transport.pending:
                sent = transport.send(endpoint.output)
                if sent:
                    endpoint.sent(sent)
                    self._stuck_since = monotonic()
                if transport.pending or (endpoint.output and not sent):
                    self._wait_until_writable()
                    break
                if not endpoint.output and self._pong is not None:
                    endpoint.pong(self._pong)
                    self._pong = None
        except OSError:
            self.lost()
            return
        if self._writer is not None and not (endpoint.output or transport.pending):
            self._stop_writer()
        self.flushed()

    def _wait_until_writable(self) -> None:
        if self._writer is None:
            self._stuck_since = monotonic()
            self._writer = self._loop.hub.loop.io(self._transport.fileno(), WRITE)
            self._writer.start(self._writable)

    def _writable(self) -> None:
        self._loop.guard(self.flush)
        self._loop.flush()

    def _stop_writer(self) -> None:
        writer, self._writer = self._writer, None
        writer.stop()
        writer.close()

    # The end

    def release(self) -> None:
        """Give up the watchers and close the descriptor, in this order. Idempotent."""
        if self._writer is not None:
            self._stop_writer()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
            reader.close()
        self._transport.close()
