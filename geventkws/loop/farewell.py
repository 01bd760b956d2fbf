"""The end of a connection that has nothing more to say: its last bytes leave, and the peer's are discarded.

A socket that is closed with input unread is reset, which can destroy an answer on its way to the peer
(RFC 9112, 9.6). So the connection is half-closed first, and what still arrives is discarded until the time is
up, however much it is: a proxy may pass on a whole upload before it looks at the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from geventkws.loop.channel import Channel
from geventkws.loop.transient import TransientOwner
from geventkws.net.transport import Chunk

LAST_MOMENT = 1.0
"""Seconds that a peer still has to read its last bytes and to close when the server stops."""


class Farewell(TransientOwner):
    """The last owner of a channel."""

    __slots__ = ("_answer", "_deadline", "_ended", "_half_closed")

    def __init__(
        self, channel: Channel, timeout: float, on_over: Callable[[Channel], None], answer: bytes = b""
    ) -> None:
        """Send ``answer``, half-close, and drain for ``timeout`` seconds; then close and call ``on_over``."""
        super().__init__(channel, on_over)
        self._answer: Chunk = answer
        self._deadline = monotonic() + timeout
        self._ended = False
        """Whether the peer has finished sending."""
        self._half_closed = False
        channel.resume()
        channel.cork()

    def _readable(self) -> bool:
        try:
            data = self._channel.recv()
        except OSError:
            self._over()
            return False
        if data is None:
            return False
        if not data and not self._half_closed:
            # A peer that has finished sending may still be reading.
            self._ended = True
            self._channel.pause()
        elif not data:
            self._over()
        return bool(data)

    def _proceed(self) -> None:
        """Do nothing: no input is kept for a later turn."""

    def _flush(self) -> None:
        channel = self._channel
        while self._answer or channel.is_pending():
            sent = channel.send([self._answer] if self._answer else [])
            self._answer = memoryview(self._answer)[sent:]
            if channel.is_pending() or (self._answer and not sent):
                channel.await_room()
                return
        channel.has_room()
        if not self._half_closed:
            self._half_closed = True
            channel.transport.shutdown_write()
        if self._ended:
            self._over()

    def _check(self, now: float) -> None:
        if now >= self._deadline:
            self._channel.flush()  # the peer may have made room while the hub was busy
            self._over()

    def _hurry(self) -> None:
        self._deadline = min(self._deadline, monotonic() + LAST_MOMENT)
