"""The time limits of a connection while messages go both ways: silence and pings, stuck writers.

The server's clock calls ``check`` for every connection, once a second or more often. The hub may have been
busy until just now, so no peer is given up before the socket has been tried once more: what the peer did in
time counts. The clocks themselves are fields of the conversation, set where the bytes pass: ``_heard_at``,
``_pinged_at`` and ``_stuck_since``.
"""

from __future__ import annotations

from geventkws.loop.loop import RECEIVE_BUFFER_SIZE
from geventkws.websocket.conversation import Conversation

PATIENCE_WITH_RESTS = 1.0
"""Additional seconds that a peer has for its answer while something it has sent waits for its turn."""


def check(conversation: Conversation, now: float, send_timeout: float | None, pings: bool) -> None:
    """Enforce the time limits; ``now`` is the time by ``time.monotonic``. In the hub.

    A peer that reads nothing for ``send_timeout`` seconds is given up, and with ``pings``, a silent one, too.
    """
    timeout = conversation.service.connection_timeout
    if _is_stuck(conversation, now, send_timeout):
        conversation._channel.flush()
        if _is_stuck(conversation, now, send_timeout):
            conversation._lifecycle.lost(conversation)
    elif timeout and pings and conversation._channel.paused_at is None and conversation._rest is None:
        _check_for_life(conversation, now, timeout / 2)


def patience(conversation: Conversation) -> float:
    """Return how many more seconds to wait for the peer's answer.

    If something that it has sent waits for its turn, the peer is alive, and its answer may be there; but what
    waits may also be a flood.
    """
    has_rest = conversation._rest is not None and conversation._channel.paused_at is None
    return PATIENCE_WITH_RESTS if has_rest else 0.0


def catch_up(conversation: Conversation) -> None:
    """Receive what there is now, but no more than a bufferful from a peer that keeps sending."""
    limit = conversation._endpoint.bytes_received + RECEIVE_BUFFER_SIZE
    while _look(conversation) and conversation._endpoint.bytes_received < limit:
        pass


def _look(conversation: Conversation) -> bool:
    """Receive once; return whether there was anything."""
    channel = conversation._channel
    if not channel.is_reading or conversation._rest is not None:
        return False
    channel.loop.begin_turn()
    received = conversation._readable()
    channel.loop.flush()
    return received


def _is_stuck(conversation: Conversation, now: float, limit: float | None) -> bool:
    """Return whether the peer has read nothing for ``limit`` seconds, although there is output for it."""
    if limit is None or not conversation._channel.awaits_room:
        return False
    return now - conversation._stuck_since >= limit


def _check_for_life(conversation: Conversation, now: float, half: float) -> None:
    """Ping a peer that has been silent for ``half`` seconds; give it up after as many again."""
    if conversation._pinged_at is None:
        if now - conversation._heard_at >= half:
            conversation._pinged_at = now
            conversation._endpoint.ping()
            conversation._channel.cork()
        return
    if now - conversation._pinged_at < half:
        return
    if conversation._channel.awaits_room:
        # Other output leaves before the ping; a peer that reads it, however slowly, is alive. The watcher
        # cannot tell, because the kernel reports room only when there is a lot of it.
        conversation._channel.flush()
        if now - conversation._pinged_at < half:
            return  # the ping has only now left
        if conversation._stuck_since > conversation._pinged_at:
            conversation._pinged_at = conversation._stuck_since
            return
    _look(conversation)
    if conversation._pinged_at is not None:
        conversation._lifecycle.lost(conversation)
