"""The closing handshake as a table (RFC 6455, sections 1.4, 5.5.1 and 7.1).

Either side starts it by a close frame and the other answers by one. Then the server closes the TCP
connection first (7.1.1). A side that has sent its close frame sends nothing more, and a side that has
received the other's reads nothing more. A connection that ends in any other way has ended abnormally
(7.1.5), for which the code 1006 stands, which is never sent.

``TRANSITIONS[state][event]`` is ``(state, outcome, actions)``: where the conversation stands then, what the
service will be told, and what is to be done. All are small integers, so that a connection keeps no more than
one. Whoever carries it out decides nothing.
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
    """Our close frame is out, the peer's is awaited; what else arrives is discarded."""
    FINISHING = 5
    """Our last bytes are leaving, after which the socket is half-closed."""
    ANSWERING = 6
    """Our last bytes are leaving, after which the socket is closed: the peer has said all it had to say."""
    DRAINING = 7
    """The socket is half-closed; what arrives is discarded until the peer closes too."""
    CLOSED = 8
    """The socket is closed."""


class Event(IntEnum):
    """What happens."""

    CLOSE = 0
    """The service, or the server at its end, wants to close."""
    DROP = 1
    """The service wants to close without waiting for an answer."""
    FAILED = 2
    """The service raised an exception."""
    PEER_CLOSE = 3
    """The peer's close frame arrives."""
    PEER_ERROR = 4
    """The peer breaks a rule of the protocol."""
    PEER_END = 5
    """The peer ends its stream."""
    LOST = 6
    """The connection is lost, or given up."""
    HANDLED = 7
    """The messages before the peer's last event are handled."""
    SENT = 8
    """All output has left, and all input is read."""
    SENT_UNREAD = 9
    """All output has left, but input is unread: closing now would reset the connection."""
    TIME = 10
    """The time for the present state is over."""


class Outcome(IntEnum):
    """Whose code the service will be told."""

    UNDECIDED = 0
    OURS = 1
    """The one given to ``close`` or ``drop``, or 1011."""
    PEERS = 2
    """The one of its close frame, 1005 where that is empty."""
    RULE = 3
    """The one of the rule that the peer broke."""
    ABNORMAL = 4
    """1006."""


class Action(IntFlag):
    """What is to be done, in this order."""

    DISARM = 1
    """Forget the time limit."""
    ARM = 2
    """Set a time limit for the new state."""
    PAUSE = 4
    """Read no more: there is nothing to come."""
    DISCARD = 8
    """Forget the messages that the service was not told of."""
    SEND_CLOSE = 16
    """Send a close frame with the outcome's code; with ours where the outcome is not decided."""
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
UNDECIDED, OURS, PEERS, RULE, ABNORMAL = map(int, Outcome)
DISARM, ARM, PAUSE, DISCARD, SEND_CLOSE, RESUME, SHUT_DOWN, RELEASE = map(int, Action)

ACTIVE = frozenset((OPEN, PEER_CLOSED, PEER_FAILED, PEER_GONE))
"""The states in which messages may be sent."""

HELD = frozenset((PEER_CLOSED, PEER_FAILED, PEER_GONE))
"""The states in which the peer's last event waits for the messages before it."""

Transition = tuple[int, int, int]

_GONE = RELEASE | DISARM
_LAST_WORD = SEND_CLOSE | ARM | RESUME

_CHANGES: dict[int, dict[int, Transition]] = {
    OPEN: {
        # "_Start the WebSocket Closing Handshake_" (7.1.2)
        CLOSE: (CLOSING, UNDECIDED, SEND_CLOSE | ARM | DISCARD),
        DROP: (FINISHING, OURS, _LAST_WORD | DISCARD),
        FAILED: (FINISHING, OURS, _LAST_WORD | DISCARD),
        PEER_CLOSE: (PEER_CLOSED, UNDECIDED, ARM),
        PEER_ERROR: (PEER_FAILED, UNDECIDED, ARM),
        PEER_END: (PEER_GONE, UNDECIDED, ARM | PAUSE),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    PEER_CLOSED: {
        # "the endpoint MUST send a Close frame in response" (5.5.1), as soon as the service has caught up
        HANDLED: (ANSWERING, PEERS, _LAST_WORD),
        TIME: (ANSWERING, PEERS, _LAST_WORD),
        # The peer was first: its code counts, and our frame answers its.
        CLOSE: (ANSWERING, PEERS, _LAST_WORD | DISCARD),
        DROP: (ANSWERING, OURS, _LAST_WORD | DISCARD),
        FAILED: (ANSWERING, OURS, _LAST_WORD | DISCARD),
        LOST: (CLOSED, PEERS, _GONE),
    },
    PEER_FAILED: {
        # "_Fail the WebSocket Connection_" (7.1.7)
        HANDLED: (FINISHING, RULE, _LAST_WORD),
        TIME: (FINISHING, RULE, _LAST_WORD),
        CLOSE: (FINISHING, RULE, _LAST_WORD | DISCARD),
        DROP: (FINISHING, OURS, _LAST_WORD | DISCARD),
        FAILED: (FINISHING, OURS, _LAST_WORD | DISCARD),
        LOST: (CLOSED, RULE, _GONE),
    },
    PEER_GONE: {
        # It may still read what waits for it, but no close frame can be answered.
        HANDLED: (ANSWERING, ABNORMAL, ARM),
        TIME: (ANSWERING, ABNORMAL, ARM),
        CLOSE: (ANSWERING, ABNORMAL, ARM | DISCARD),
        DROP: (ANSWERING, OURS, SEND_CLOSE | ARM | DISCARD),
        FAILED: (ANSWERING, OURS, SEND_CLOSE | ARM | DISCARD),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    CLOSING: {
        PEER_CLOSE: (ANSWERING, OURS, ARM),
        PEER_ERROR: (FINISHING, ABNORMAL, ARM),
        DROP: (FINISHING, OURS, ARM),
        PEER_END: (CLOSED, ABNORMAL, _GONE),
        TIME: (CLOSED, ABNORMAL, _GONE),
        LOST: (CLOSED, ABNORMAL, _GONE),
    },
    FINISHING: {
        SENT: (DRAINING, UNDECIDED, SHUT_DOWN),
        SENT_UNREAD: (DRAINING, UNDECIDED, SHUT_DOWN),
        PEER_CLOSE: (ANSWERING, UNDECIDED, 0),
        PEER_END: (ANSWERING, UNDECIDED, PAUSE),
        TIME: (CLOSED, UNDECIDED, _GONE),
        LOST: (CLOSED, UNDECIDED, _GONE),
    },
    ANSWERING: {
        # "the server MUST close the connection immediately" when both frames are there (7.1.1)
        SENT: (CLOSED, UNDECIDED, _GONE),
        SENT_UNREAD: (DRAINING, UNDECIDED, SHUT_DOWN),
        PEER_END: (ANSWERING, UNDECIDED, PAUSE),
        TIME: (CLOSED, UNDECIDED, _GONE),
        LOST: (CLOSED, UNDECIDED, _GONE),
    },
    DRAINING: {
        PEER_CLOSE: (CLOSED, UNDECIDED, _GONE),
        PEER_END: (CLOSED, UNDECIDED, _GONE),
        TIME: (CLOSED, UNDECIDED, _GONE),
        LOST: (CLOSED, UNDECIDED, _GONE),
    },
    CLOSED: {},
}

TRANSITIONS: tuple[tuple[Transition, ...], ...] = tuple(
    tuple(_CHANGES[state].get(event, (int(state), UNDECIDED, 0)) for event in map(int, Event))
    for state in map(int, State)
)
"""By state and event; what does not stand in the table above changes nothing."""
