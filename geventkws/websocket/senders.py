"""Messages that cannot be sent at once: too much output is waiting, or they come from another thread.

A greenlet waits until there is room, and so does a native thread, at a ``ThreadGate``. The hub cannot wait,
and ``broadcast`` must not: they end the connection with 1013 instead. So no output grows beyond
``max_send_buffer``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gevent import getcurrent
from gevent.event import Event as Signal

from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.endpoint import Broadcast
from geventkws.websocket.conversation import Conversation
from geventkws.websocket.thread_gate import ThreadGate


class Senders:
    """Those who want to send on a connection, but cannot do so at once."""

    __slots__ = ("_conversation", "_drop", "_gate", "_room")

    def __init__(self, conversation: Conversation, drop: Callable[[Code, str], object]) -> None:
        """``drop`` ends the connection with a code and a description."""
        self._conversation = conversation
        self._drop = drop
        self._gate = ThreadGate()
        self._room: Signal | None = None
        conversation._watches_output = True

    def send(self, opcode: int, payload: bytes, compress: bool | None) -> bool:
        """Send a message from another thread, or once there is room again. Returns what ``send`` does."""
        conversation = self._conversation
        if conversation._channel.loop.is_foreign_thread():
            return self.call(len(payload), conversation._send_now, opcode, payload, compress)
        return self.wait_for_room() and conversation._send_now(opcode, payload, compress)

    def broadcast(self, message: Broadcast) -> bool:
        """Send a broadcast message from another thread, or end a connection that is over its limit."""
        conversation = self._conversation
        if conversation._channel.loop.is_foreign_thread():
            return self._broadcast_from_thread(message)
        return self._has_room_now() and conversation._send_broadcast(message)

    def make_room(self) -> None:
        """Let those who wait look again. In the hub, after room was made or the connection has ended."""
        room, self._room = self._room, None
        if room is not None:
            room.set()
        self._gate.open()

    # Greenlets

    def wait_for_room(self) -> bool:
        """Wait until something may be sent; return ``False`` if the connection has ended."""
        conversation = self._conversation
        if getcurrent() is conversation._channel.loop.hub:
            return self._has_room_now()
        conversation._channel.flush()
        while conversation.active and self._room_left() <= 0:
            if self._room is None:
                self._room = Signal()
            self._room.wait()
        return conversation.active

    def _has_room_now(self) -> bool:
        """Return whether a frame may be sent at once; over the limit, end the connection with 1013."""
        if self._room_left() <= 0:
            self._conversation._channel.flush()
            if self._room_left() <= 0:
                self._drop(Code.TRY_AGAIN_LATER, "The peer reads too slowly")
        return self._conversation.active

    def _room_left(self) -> int:
        return self._conversation._lifecycle.max_send_buffer - self._conversation._endpoint.output_size

    # Native threads

    def call(self, size: int, function: Callable[..., bool], *args: Any) -> bool:
        """Queue a call for the hub; a thread whose connection is over the limit waits here."""
        if not self._gate.enter(size, self._is_active, self._room_left):
            return False
        return self._queue(size, partial(function, *args))

    def _broadcast_from_thread(self, message: Broadcast) -> bool:
        """Queue a message for the hub; a connection that is over the limit is ended with 1013."""
        entered = self._gate.enter_or_shut(message.size, self._is_active, self._room_left)
        if entered is None:
            # After everything queued for it, which still goes out.
            loop = self._conversation._channel.loop
            loop.call_from_thread(self._drop, Code.TRY_AGAIN_LATER, "Broadcasts come too fast")
        if not entered:
            return False
        return self._queue(message.size, partial(self._conversation._send_broadcast, message))

    def _is_active(self) -> bool:
        return self._conversation.active

    def _queue(self, size: int, call: Callable[[], object]) -> bool:
        return self._conversation._channel.loop.call_from_thread(self._carry_over, size, call)

    def _carry_over(self, size: int, call: Callable[[], object]) -> None:
        """Make the call of a thread. In the hub."""
        self._gate.leave(size)
        call()
