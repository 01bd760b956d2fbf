"""The time limits of a WebSocket connection: silence and pings, stuck writers, unanswered closes.

The server's clock calls ``check`` for every connection, once a second or more often. The hub may have been
busy until just now, so nobody is judged before the socket has been tried once more: what the peer did in
time counts. The clocks themselves are fields of the connection, set where the bytes pass: ``_heard_at``,
``_pinged_at`` and ``_stuck_since``.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from geventkws.loop.loop import RECEIVE_BUFFER_SIZE
from geventkws.protocol import closing

if TYPE_CHECKING:
    from geventkws.websocket.connection import WebSocketConnection

PATIENCE_WITH_RESTS = 1.0
"""Seconds more that a peer has for its answer while something of what it has sent waits for its turn."""


def check(connection: WebSocketConnection, now: float) -> None:
    """Enforce the time limits of ``connection``; ``now`` is of ``time.monotonic``. In the hub."""
    timeout = connection.service.connection_timeout
    reads = connection._channel.paused_at is None
    # What the peer has sent waits for its turn: it is alive, its answer may be there, and it may be a flood.
    has_rest = reads and connection._rest is not None
    patience = PATIENCE_WITH_RESTS if has_rest else 0.0
    if connection._deadline is not None and now >= connection._deadline + patience:
        _end_close(connection)
    elif _is_stuck(connection, now):
        connection._channel.flush()
        if _is_stuck(connection, now):
            connection._lost()
    elif timeout and connection._state == closing.OPEN and reads and not has_rest:
        _check_for_life(connection, now, timeout / 2)


def _look(connection: WebSocketConnection) -> bool:
    """Receive what is there now; return whether there was anything."""
    channel = connection._channel
    if not channel.is_reading or connection._rest is not None:
        return False
    channel.loop.begin_turn()
    received = connection._readable()
    channel.loop.flush()
    return received


def _is_stuck(connection: WebSocketConnection, now: float) -> bool:
    """Return whether the peer has taken nothing of what waits for it within ``send_timeout``."""
    limit = connection._host.options.send_timeout
    return connection._channel.awaits_room and limit is not None and now - connection._stuck_since >= limit


def _end_close(connection: WebSocketConnection) -> None:
    """End a closing handshake that takes too long, unless what was sent is still on its way."""
    state = connection._state
    if state in closing.HELD:
        # The service is still busy with earlier messages; the peer need not wait for it any longer.
        connection._deadline = None
        connection._advance(closing.TIME)
        return
    connection._channel.flush()
    # Up to a limit: a peer that sends on and on wins no time by it.
    limit = connection._endpoint.bytes_received + RECEIVE_BUFFER_SIZE
    while _look(connection) and connection._endpoint.bytes_received < limit:
        pass
    if connection._state != state:
        return
    end_of_patience = connection._stuck_since + connection._host.options.close_timeout
    sending = state in (closing.CLOSING, closing.FINISHING, closing.ANSWERING)
    if sending and connection._channel.awaits_room and end_of_patience > monotonic():
        connection._deadline = end_of_patience
    else:
        connection._advance(closing.TIME)


def _check_for_life(connection: WebSocketConnection, now: float, half: float) -> None:
    """Ping a peer that has been silent for ``half`` seconds; it is lost after as many again."""
    if connection._pinged_at is None:
        if now - connection._heard_at >= half:
            connection._pinged_at = now
            connection._endpoint.ping()
            connection._channel.cork()
        return
    if now - connection._pinged_at < half:
        return
    if connection._channel.awaits_room:
        # The ping is behind other output; a peer that takes that, be it slowly, is alive. The watcher
        # is no witness: the kernel reports room only when there is a lot of it.
        connection._channel.flush()
        if now - connection._pinged_at < half:
            return  # it has only now left
        if connection._stuck_since > connection._pinged_at:
            connection._pinged_at = connection._stuck_since
            return
    _look(connection)
    if connection._pinged_at is not None:
        connection._lost()
