"""The closing handshake as a table (RFC 6455, sections 1.4, 5.5.1 and 7.1).

In theory
---------

Either side starts the handshake by a close frame, and the other answers by one. A side that has sent its
close frame sends nothing more, and a side that has received the other's discards what follows. When both
frames are there, the server closes the TCP connection at once and the client waits for that, so that
``TIME_WAIT`` is the server's (5.5.1, 7.1.1). Both may start at the same time: then either frame is the
answer to the other.

Whatever ends in another way is *failed* (7.1.7): the side that finds a fault sends a close frame that names
it, and closes without waiting for an answer. Where no close frame could come at all, the code is 1006,
which is only ever reported and never sent (7.1.5, 7.4.1).

In practice
-----------

Three things keep the end of a connection from being this simple.

*Messages wait.* What the peer sent before its last word (a close frame, a fault, the end of its stream) is
still for the service, which may take its time and answer. So a last word is held back until the messages
before it are handled: the states in ``HELD``, in which messages may still be sent.

*Output waits.* Our close frame is the last of what is to leave, and a slow peer takes its time. So deciding
how a connection ends (the outcome) and closing its socket are two moments, with ``FINISHING`` or
``ANSWERING`` in between.

*A socket closed with input unread is reset*, which can destroy our last bytes on their way. So where the
peer may still be sending, the socket is half-closed and read to its end, as 7.1.1 advises: ``DRAINING``.
Where the peer has said all it had to say, this is not needed, and the socket is closed as soon as the
output has left.

Each of these waits has a limit, which is set when ``OPEN`` is left and once more at most. The states are
numbered so that no event leads to a lower one: there is no way back, and it is five steps at most from
``OPEN`` to ``CLOSED``.

In this module
--------------

``TRANSITIONS[state][event]`` is ``(state, outcome, actions)``: where the conversation stands then, whose
code the service will be told if that is decided now, and what is to be done. All are plain integers, so
that a connection keeps only one, and a look-up is all it takes. Who carries it out decides nothing. What
does not stand in the table changes nothing: it comes too late, or cannot come at all.

``docs/closing_diagram.py`` draws the diagram and the table of the documentation from this one.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class State(IntEnum):
    """Where the conversation stands."""

    OPEN = 0
    """Messages go both ways."""
    PEER_CLOSED = 1
    """The peer's close frame is in; the messages before it are still to be handled, and may be answered."""
    PEER_FAILED = 2
    """The peer has broken a rule; the messages before that are still to be handled, and may be answered."""
    PEER_GONE = 3
    """The peer has ended its stream without a close frame; the messages before are still to be handled."""
    CLOSING = 4
    """Our close frame is out, and the peer's is awaited; what else arrives is discarded."""
    FINISHING = 5
    """Our last bytes are leaving, after which the socket is half-closed: the peer may still be sending."""
    ANSWERING = 6
    """Our last bytes are leaving, after which the socket is closed: the peer has said all it had to say."""
    DRAINING = 7
    """The socket is half-closed; what arrives is discarded until the peer ends its stream too."""
    CLOSED = 8
    """The socket is closed."""


class Event(IntEnum):
    """What happens."""

    CLOSE = 0
    """The service, or the server that stops, wants to close."""
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
    """The messages before the peer's last word are handled."""
    SENT = 8
    """All output has left, and all input is read."""
    SENT_UNREAD = 9
    """All output has left, but the peer has sent what was not read: closed now, the socket would be reset."""
    TIME = 10
    """The time limit has passed."""


class Outcome(IntEnum):
    """Whose code the service will be told."""

    NONE = 0
    """Not decided now: decided before, or yet to be."""
    OURS = 1
    """The one given to ``close`` or ``drop``; 1011 where the service raised an exception."""
    PEERS = 2
    """The one of its close frame, 1005 where that has none."""
    RULE = 3
    """The one of the rule that the peer broke."""
    ABNORMAL = 4
    """1006."""


class Action(IntFlag):
    """What is to be done, in this order."""

    DISARM = 1
    """Forget the time limit."""
    ARM = 2
    """Set the time limit anew."""
    PAUSE = 4
    """Read no more: the peer's end is all there would be, again and again."""
    DISCARD = 8
    """Forget the messages that the service has not been told of, and those still to come."""
    SEND_CLOSE = 16
    """Send a close frame with the outcome's code; with ours where no outcome is decided."""
    RESUME = 32
    """Read, where reading was paused."""
    SHUT_DOWN = 64
    """Half-close the socket."""
    RELEASE = 128
    """Close the socket."""


OPEN, PEER_CLOSED, PEER_FAILED, PEER_GONE, CLOSING, FINISHING, ANSWERING, DRAINING, CLOSED = map(int, State)
CLOSE, DROP, FAILED, PEER_CLOSE, PEER_ERROR, PEER_END, LOST, HANDLED, SENT, SENT_UNREAD, TIME = map(
    int, Event
)
NONE, OURS, PEERS, RULE, ABNORMAL = map(int, Outcome)
DISARM, ARM, PAUSE, DISCARD, SEND_CLOSE, RESUME, SHUT_DOWN, RELEASE = map(int, Action)

HELD = frozenset((PEER_CLOSED, PEER_FAILED, PEER_GONE))
"""The states in which the peer's last word waits for the messages before it."""

ACTIVE = HELD | {OPEN}
"""The states in which messages may be sent."""

Transition = tuple[int, int, int]
"""The state then, the outcome that is decided, and the actions."""

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
        # The messages that are there are still for the service.
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
        # What waits is still sent, since the peer may read it; but 1006 never stands in a close frame.
        HANDLED: (ANSWERING, ABNORMAL, ARM),
        TIME: (ANSWERING, ABNORMAL, ARM),
        CLOSE: (ANSWERING, ABNORMAL, ARM | DISCARD),
        DROP: (ANSWERING, OURS, SEND_CLOSE | ARM | DISCARD),
        FAILED: (ANSWERING, OURS, SEND_CLOSE | ARM | DISCARD),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    CLOSING: {
        PEER_CLOSE: (ANSWERING, OURS, ARM),
        # Our one close frame is out, so that neither the fault nor another code can be told the peer.
        PEER_ERROR: (FINISHING, ABNORMAL, ARM),
        DROP: (FINISHING, OURS, ARM),
        # No answer will come; but messages sent before ``close`` may still wait, which the peer may read.
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
        # Both frames are there, and nothing may follow the peer's that would be left unread.
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
"""What follows, by state and event."""
