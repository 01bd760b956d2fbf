"""The closing handshake as a table (RFC 6455, sections 1.4, 5.5.1 and 7.1).

In theory
---------

Either side starts the handshake with a close frame, and the other answers with one. A side that has sent its
close frame sends nothing more, and a side that has received the other's discards what follows. When both
frames have been exchanged, the server closes the TCP connection at once and the client waits for that, so
that the server has the ``TIME_WAIT`` (5.5.1, 7.1.1). Both may start at the same time; each frame is then the
answer to the other.

A connection that ends in any other way is *failed* (7.1.7): the side that detects a fault sends a close frame
that names it, and closes without waiting for an answer. If there was no close frame at all, the code is 1006,
which is only ever reported and never sent (7.1.5, 7.4.1).

In practice
-----------

Three things keep the end of a connection from being this simple.

*Messages wait.* Messages that the peer sent before its last word (a close frame, a fault, the end of its
stream) are still for the service, which may take its time and answer. So a last word is held back until the
messages before it are handled, in the states of ``HELD``; messages may still be sent then. A server that
stops holds back its own close frame in the same way, in ``LEAVING``: what it has received is not lost.

*Output waits.* Our close frame is the last thing to be sent, and a slow peer takes its time. So deciding how
a connection ends (the outcome) and closing its socket are separate moments, with ``FINISHING`` or
``ANSWERING`` in between.

*A socket that is closed with unread input is reset*, which can destroy our last bytes on their way. So if the
peer may still be sending, the socket is half-closed and read to its end, as 7.1.1 advises: ``DRAINING``. If
the peer has said all it had to say, this is not necessary, and the socket is closed as soon as the output has
left.

Each of these waits has a limit, which is set when ``OPEN`` is left, and at most once more; twice more after
``LEAVING``. The states are numbered so that no event leads to a lower one: no transition leads back, and
``CLOSED`` is at most six steps from ``OPEN``.

In this module
--------------

``TRANSITIONS[state][event]`` is ``(state, outcome, actions)``: the next state; whose code the service will
get, if that is decided now; and what to do. All are plain integers, so that a connection keeps only one, and
needs only a look-up. The code that carries it out decides nothing. Whatever is not in the table changes
nothing: it comes too late, or cannot happen at all.

``docs/closing_diagram.py`` draws the diagram and the table in the documentation from this one.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class State(IntEnum):
    """Where the conversation stands."""

    OPEN = 0
    """Messages go both ways."""
    LEAVING = 1
    """The server wants to close; messages that have arrived must still be handled, and may be answered."""
    PEER_CLOSED = 2
    """The peer's close frame has arrived; messages before it must still be handled, and may be answered."""
    PEER_FAILED = 3
    """The peer has broken a rule; messages before that must still be handled, and may be answered."""
    PEER_GONE = 4
    """The peer has ended its stream without a close frame; messages before that must still be handled."""
    CLOSING = 5
    """Our close frame is sent, and we wait for the peer's; anything else that arrives is discarded."""
    FINISHING = 6
    """Our last bytes are leaving, after which the socket is half-closed: the peer may still be sending."""
    ANSWERING = 7
    """Our last bytes are leaving, after which the socket is closed: the peer has said all it had to say."""
    DRAINING = 8
    """The socket is half-closed; what arrives is discarded until the peer ends its stream too."""
    CLOSED = 9
    """The socket is closed."""


class Event(IntEnum):
    """What happens."""

    CLOSE = 0
    """The service wants to close; or the server, where nothing waits to be handled."""
    DROP = 1
    """The service wants to end the connection without waiting for an answer."""
    FAILED = 2
    """The service raised an exception."""
    PEER_CLOSE = 3
    """The peer's close frame arrives."""
    PEER_ERROR = 4
    """The peer breaks a rule of the protocol."""
    PEER_END = 5
    """The peer ends its stream; it may still read."""
    LOST = 6
    """The connection is lost, or given up."""
    HANDLED = 7
    """The messages before the last word, the peer's or ours, are handled."""
    SENT = 8
    """All output has left, and all input is read."""
    SENT_UNREAD = 9
    """All output has left, but some input is unread: if it were closed now, the socket would be reset."""
    TIME = 10
    """The time limit has passed."""
    LEAVE = 11
    """The server wants to close, but messages that have arrived are not handled yet."""


class Outcome(IntEnum):
    """Whose code the service will get."""

    NONE = 0
    """Not decided now: either before or later."""
    OURS = 1
    """The code passed to ``close`` or ``drop``; 1011 if the service raised an exception."""
    PEERS = 2
    """The code in the peer's close frame; 1005 if it has none."""
    RULE = 3
    """The code for the rule that the peer broke."""
    ABNORMAL = 4
    """1006."""


class Action(IntFlag):
    """What to do, in this order."""

    DISARM = 1
    """Drop the time limit."""
    ARM = 2
    """Set a new time limit."""
    PAUSE = 4
    """Stop reading: only the peer's end would be read, again and again, or what comes too late."""
    DISCARD = 8
    """Discard the messages that the service has not received yet, and those still to come."""
    SEND_CLOSE = 16
    """Send a close frame with the outcome's code, or with ours if no outcome is decided."""
    RESUME = 32
    """Resume reading, if it was paused."""
    SHUT_DOWN = 64
    """Half-close the socket."""
    RELEASE = 128
    """Close the socket."""


OPEN, LEAVING, PEER_CLOSED, PEER_FAILED, PEER_GONE, CLOSING, FINISHING, ANSWERING, DRAINING, CLOSED = map(
    int, State
)
CLOSE, DROP, FAILED, PEER_CLOSE, PEER_ERROR, PEER_END, LOST, HANDLED, SENT, SENT_UNREAD, TIME, LEAVE = map(
    int, Event
)
NONE, OURS, PEERS, RULE, ABNORMAL = map(int, Outcome)
DISARM, ARM, PAUSE, DISCARD, SEND_CLOSE, RESUME, SHUT_DOWN, RELEASE = map(int, Action)

HELD = frozenset((LEAVING, PEER_CLOSED, PEER_FAILED, PEER_GONE))
"""The states in which a last word is held back until the messages before it are handled."""

ACTIVE = HELD | {OPEN}
"""The states in which messages may be sent."""

Transition = tuple[int, int, int]
"""The next state, the outcome that is decided, and the actions."""

_LAST_WORD = SEND_CLOSE | ARM | RESUME
_GONE = RELEASE | DISARM

_CHANGES: dict[int, dict[int, Transition]] = {
    OPEN: {
        # "_Start the WebSocket Closing Handshake_" (7.1.2). The outcome depends on the peer's answer.
        CLOSE: (CLOSING, NONE, _LAST_WORD | DISCARD),
        DROP: (FINISHING, OURS, _LAST_WORD | DISCARD),
        FAILED: (FINISHING, OURS, _LAST_WORD | DISCARD),
        PEER_CLOSE: (PEER_CLOSED, NONE, ARM),
        PEER_ERROR: (PEER_FAILED, NONE, ARM),
        PEER_END: (PEER_GONE, NONE, ARM | PAUSE),
        # The messages that have arrived are still for the service.
        LOST: (CLOSED, ABNORMAL, _GONE),
        LEAVE: (LEAVING, NONE, ARM | PAUSE),
    },
    LEAVING: {
        HANDLED: (CLOSING, NONE, _LAST_WORD),
        # The service is busy: the messages are still for it, but its answers come too late.
        TIME: (CLOSING, NONE, _LAST_WORD),
        CLOSE: (CLOSING, NONE, _LAST_WORD | DISCARD),
        DROP: (FINISHING, OURS, _LAST_WORD | DISCARD),
        FAILED: (FINISHING, OURS, _LAST_WORD | DISCARD),
        # The peer's last word was among what had arrived.
        PEER_CLOSE: (PEER_CLOSED, NONE, 0),
        PEER_ERROR: (PEER_FAILED, NONE, 0),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    PEER_CLOSED: {
        # "the endpoint MUST send a Close frame in response" (5.5.1): when the service has caught up, or now.
        HANDLED: (ANSWERING, PEERS, _LAST_WORD),
        TIME: (ANSWERING, PEERS, _LAST_WORD),
        # The peer was first: its code counts, and our frame answers its.
        CLOSE: (ANSWERING, PEERS, _LAST_WORD | DISCARD),
        DROP: (ANSWERING, OURS, _LAST_WORD | DISCARD),
        FAILED: (ANSWERING, OURS, _LAST_WORD | DISCARD),
        PEER_END: (PEER_CLOSED, NONE, PAUSE),
        LOST: (CLOSED, PEERS, _GONE),
    },
    PEER_FAILED: {
        # "_Fail the WebSocket Connection_" (7.1.7).
        HANDLED: (FINISHING, RULE, _LAST_WORD),
        TIME: (FINISHING, RULE, _LAST_WORD),
        CLOSE: (FINISHING, RULE, _LAST_WORD | DISCARD),
        DROP: (FINISHING, OURS, _LAST_WORD | DISCARD),
        FAILED: (FINISHING, OURS, _LAST_WORD | DISCARD),
        PEER_END: (PEER_FAILED, NONE, PAUSE),
        LOST: (CLOSED, RULE, _GONE),
    },
    PEER_GONE: {
        # Waiting output is still sent, because the peer may read it; but a close frame never has the code
        # 1006.
        HANDLED: (ANSWERING, ABNORMAL, ARM),
        TIME: (ANSWERING, ABNORMAL, ARM),
        CLOSE: (ANSWERING, ABNORMAL, ARM | DISCARD),
        DROP: (ANSWERING, OURS, SEND_CLOSE | ARM | DISCARD),
        FAILED: (ANSWERING, OURS, SEND_CLOSE | ARM | DISCARD),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    CLOSING: {
        PEER_CLOSE: (ANSWERING, OURS, ARM),
        # Our only close frame has been sent, so the peer can learn of neither the fault nor another code.
        PEER_ERROR: (FINISHING, ABNORMAL, ARM),
        DROP: (FINISHING, OURS, ARM),
        # No answer will come, but messages sent before ``close`` may still be waiting, and the peer may read
        # them.
        PEER_END: (ANSWERING, ABNORMAL, ARM | PAUSE),
        TIME: (CLOSED, ABNORMAL, _GONE),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    FINISHING: {
        SENT: (DRAINING, NONE, SHUT_DOWN),
        SENT_UNREAD: (DRAINING, NONE, SHUT_DOWN),
        PEER_CLOSE: (ANSWERING, NONE, 0),
        PEER_END: (ANSWERING, NONE, PAUSE),
        TIME: (CLOSED, NONE, _GONE),
        LOST: (CLOSED, NONE, _GONE),
    },
    ANSWERING: {
        # "The server MUST close the underlying TCP connection immediately" (5.5.1).
        SENT: (CLOSED, NONE, _GONE),
        SENT_UNREAD: (DRAINING, NONE, SHUT_DOWN | RESUME),
        PEER_END: (ANSWERING, NONE, PAUSE),
        TIME: (CLOSED, NONE, _GONE),
        LOST: (CLOSED, NONE, _GONE),
    },
    DRAINING: {
        # Both frames have been exchanged, and the peer may send nothing more that would be left unread.
        PEER_CLOSE: (CLOSED, NONE, _GONE),
        PEER_END: (CLOSED, NONE, _GONE),
        TIME: (CLOSED, NONE, _GONE),
        LOST: (CLOSED, NONE, _GONE),
    },
    CLOSED: {},
}

TRANSITIONS: tuple[tuple[Transition, ...], ...] = tuple(
    tuple(_CHANGES[state].get(event, (state, NONE, 0)) for event in map(int, Event))
    for state in map(int, State)
)
"""The transition for each state and event."""
