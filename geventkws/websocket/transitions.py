"""Carries out what the table in ``protocol.closing`` says: how a connection ends, step by step.

The code for ``disconnected`` is known before the last bytes have left. A connection is over when
``disconnected`` has returned and the descriptor is closed. All of this runs in the hub's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from time import monotonic
from typing import TypeVar

from geventkws.backend import use_compiled
from geventkws.loop import leaf
from geventkws.net.tls_records import MAX_CIPHERTEXT
from geventkws.protocol.close import Close
from geventkws.protocol.close_codes import WebSocketCloseReasonCode as Code
from geventkws.protocol.closing import (
    ACTIVE,
    ANSWERING,
    ARM,
    CLOSED,
    CLOSING,
    DISARM,
    DISCARD,
    FINISHING,
    HELD,
    LOST,
    PAUSE,
    PEER_CLOSE,
    PEER_END,
    PEER_ERROR,
    RELEASE,
    RESUME,
    SEND_CLOSE,
    SENT,
    SENT_UNREAD,
    SHUT_DOWN,
    TIME,
    TRANSITIONS,
)
from geventkws.protocol.errors import ProtocolError
from geventkws.websocket import keepalive
from geventkws.websocket.conversation import Conversation
from geventkws.websocket.ending import Ending

Connection = TypeVar("Connection", bound=Conversation)

LAST_LOOK = 4 * MAX_CIPHERTEXT
"""Bytes to read when looking for unread input: room for a whole TLS record after a part of another."""

PEER_EVENTS = (PEER_CLOSE, PEER_ERROR, PEER_END)
"""The events after which the hub goes to work for the connection in any case."""


class Told(IntEnum):
    """What the service has been called with."""

    NOTHING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    EVERYTHING = 3


NOTHING, CONNECTED, DISCONNECTED, EVERYTHING = map(int, Told)


def advance(connection: Conversation, event: int, code: Code | None = None, text: str = "") -> None:
    """Do what the table says about ``event``; ``code`` and ``text`` are those of our close frame, if any."""
    before = connection._state
    state, outcome, actions = TRANSITIONS[before][event]
    if state == before and not actions:
        return
    ending = _ending_of(connection)
    connection._state = state
    connection.active = state in ACTIVE
    if code is not None:
        ending.close_code, ending.close_text = code, text
    if outcome:
        ending.decide(outcome)
    connection._has_news = is_news_due(connection)
    _carry_out(connection, ending, state, outcome, actions)
    if connection._senders is not None:
        connection._senders.make_room()
        if state == CLOSED:
            connection._senders = None  # they lead back here: kept, they would be a cycle
    if event not in PEER_EVENTS:
        schedule(connection)
    if connection._farewells is not None and not connection.active:
        _bid_farewell(connection)


def _ending_of(connection: Conversation) -> Ending:
    """Return what is remembered of a connection's end, which begins with the first step."""
    if connection._ending is None:
        connection._ending = Ending()
    return connection._ending


def _carry_out(connection: Conversation, ending: Ending, state: int, outcome: int, actions: int) -> None:
    """Carry out the actions, in the order of their flags."""
    channel = connection._channel
    if actions & DISARM:
        ending.deadline = None
    elif actions & ARM:
        ending.deadline = monotonic() + connection._lifecycle.host.options.close_timeout
    if actions & PAUSE:
        channel.pause()
    if actions & DISCARD:
        connection._discard_inbox()
    if actions & SEND_CLOSE:
        connection._endpoint.close(*ending.close_frame(outcome))
        channel.cork()
    if actions & RESUME:
        connection._resume_reading()
    if state in (FINISHING, ANSWERING):
        connection._watches_output = True
        channel.cork()
    if actions & SHUT_DOWN:
        try:
            channel.transport.shutdown_write()
        except OSError:
            advance(connection, LOST)
    if actions & RELEASE:
        connection._rest = None
        channel.release()
        check_whether_over(connection)


def call_when_inactive(connection: Connection, function: Callable[[Connection], object]) -> None:
    """Call ``function``, which must not wait, with the connection when nothing more can be sent.

    Until now, it can be. The same function for many connections takes the least memory.
    """
    connection._farewells = (*(connection._farewells or ()), function)


def _bid_farewell(connection: Conversation) -> None:
    farewells, connection._farewells = connection._farewells or (), None
    for function in farewells:
        connection._channel.loop.guard(function, connection)


def take_last_word(connection: Conversation, word: Close | ProtocolError, event: int) -> None:
    """Keep the peer's last word until earlier messages are handled; it may answer our own close frame."""
    ending = _ending_of(connection)
    if ending.last_word is None:
        ending.last_word = word
        if connection._state == CLOSING and isinstance(word, Close):
            ending.peers_text = word.reason
        advance(connection, event)


# The output, and the time limit


def output_left(connection: Conversation) -> None:
    """Go on after some or all of the output has left."""
    size, state = connection._endpoint.output_size, connection._state
    if connection._senders is not None and size < connection._lifecycle.max_send_buffer:
        connection._senders.make_room()
    if not size and not connection._channel.is_pending():
        if state == FINISHING:
            advance(connection, SENT)
        elif state == ANSWERING:
            advance(connection, SENT if _input_is_read(connection) else SENT_UNREAD)


def _input_is_read(connection: Conversation) -> bool:
    """Return whether everything that the peer has sent was read, discarding what was not.

    A socket that is closed with input unread is reset, which can destroy our close frame on its way.
    """
    connection._rest = None
    channel = connection._channel
    size = LAST_LOOK if channel.transport.secure else 1
    try:
        # Not into the loop's buffer: the caller may be a callback of the connection whose input is there.
        return leaf.Buffer(bytearray(size)).receive(channel.transport, channel._fd, size) <= 0
    except OSError:
        return True


def check_deadline(connection: Conversation, now: float) -> bool:
    """End a wait that is too long; return ``False`` if there is none."""
    ending = connection._ending
    if ending is None or ending.deadline is None or now < ending.deadline + keepalive.patience(connection):
        return False
    _end_waiting(connection, ending)
    return True


def _end_waiting(connection: Conversation, ending: Ending) -> None:
    """End a closing handshake that takes too long, unless what was sent is still on its way."""
    state = connection._state
    if state in HELD:
        # The service is still busy with earlier messages; the peer need not wait any longer.
        ending.deadline = None
        advance(connection, TIME)
        return
    connection._channel.flush()
    keepalive.catch_up(connection)
    if connection._state != state:
        return
    end_of_patience = connection._stuck_since + connection._lifecycle.host.options.close_timeout
    sending = state in (CLOSING, FINISHING, ANSWERING)
    if sending and connection._channel.awaits_room and end_of_patience > monotonic():
        ending.deadline = end_of_patience
    else:
        advance(connection, TIME)


# What is left to do for the service


def is_news_due(connection: Conversation) -> bool:
    """Return whether a worker has something to do besides ``received``."""
    if connection._told == NOTHING or connection._state in HELD:
        return True
    return outcome_of(connection) is not None and connection._told == CONNECTED


def outcome_of(connection: Conversation) -> Code | None:
    """Return the code for ``disconnected``; ``None`` if that is not known yet."""
    return None if connection._ending is None else connection._ending.outcome


def schedule(connection: Conversation) -> None:
    """Let a worker, or the greenlet in ``receive``, do what there is to do. In any greenlet."""
    due = connection._has_news and not connection._working
    if not connection._scheduled and (connection._receiver is not None or due):
        connection._scheduled = True
        connection._channel.loop.hub.loop.run_callback(_run_when_scheduled, connection)


def _run_when_scheduled(connection: Conversation) -> None:
    connection._scheduled = False
    loop = connection._channel.loop
    loop.guard(connection._go_to_work)
    loop.flush()


def check_whether_over(connection: Conversation) -> None:
    """Tell the host when ``disconnected`` has returned and the descriptor is closed."""
    if connection._told == EVERYTHING and connection._state == CLOSED:
        outcome = outcome_of(connection)
        assert outcome is not None
        connection._lifecycle.host.websocket_closed(connection, outcome)


use_compiled(__name__, globals())
