"""The closing handshake (RFC 6455, sections 5.5.1 and 7.1): each row, and what is true on every path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from geventkws.protocol import closing
from geventkws.protocol.closing import Action, Event, Outcome, State

# State, event, next state, decided outcome, actions. The last line for a state names the events that change
# nothing.
ROWS = """
OPEN CLOSE -> CLOSING NONE : ARM DISCARD SEND_CLOSE RESUME
OPEN DROP -> FINISHING OURS : ARM DISCARD SEND_CLOSE RESUME
OPEN FAILED -> FINISHING OURS : ARM DISCARD SEND_CLOSE RESUME
OPEN PEER_CLOSE -> PEER_CLOSED NONE : ARM
OPEN PEER_ERROR -> PEER_FAILED NONE : ARM
OPEN PEER_END -> PEER_GONE NONE : ARM PAUSE
OPEN LOST -> CLOSED ABNORMAL : DISARM RELEASE
OPEN LEAVE -> LEAVING NONE : ARM PAUSE
OPEN = HANDLED SENT SENT_UNREAD TIME

LEAVING HANDLED -> CLOSING NONE : ARM SEND_CLOSE RESUME
LEAVING TIME -> CLOSING NONE : ARM SEND_CLOSE RESUME
LEAVING CLOSE -> CLOSING NONE : ARM DISCARD SEND_CLOSE RESUME
LEAVING DROP -> FINISHING OURS : ARM DISCARD SEND_CLOSE RESUME
LEAVING FAILED -> FINISHING OURS : ARM DISCARD SEND_CLOSE RESUME
LEAVING PEER_CLOSE -> PEER_CLOSED NONE :
LEAVING PEER_ERROR -> PEER_FAILED NONE :
LEAVING LOST -> CLOSED ABNORMAL : DISARM RELEASE
LEAVING = LEAVE PEER_END SENT SENT_UNREAD

PEER_CLOSED HANDLED -> ANSWERING PEERS : ARM SEND_CLOSE RESUME
PEER_CLOSED TIME -> ANSWERING PEERS : ARM SEND_CLOSE RESUME
PEER_CLOSED CLOSE -> ANSWERING PEERS : ARM DISCARD SEND_CLOSE RESUME
PEER_CLOSED DROP -> ANSWERING OURS : ARM DISCARD SEND_CLOSE RESUME
PEER_CLOSED FAILED -> ANSWERING OURS : ARM DISCARD SEND_CLOSE RESUME
PEER_CLOSED PEER_END -> PEER_CLOSED NONE : PAUSE
PEER_CLOSED LOST -> CLOSED PEERS : DISARM RELEASE
PEER_CLOSED = LEAVE PEER_CLOSE PEER_ERROR SENT SENT_UNREAD

PEER_FAILED HANDLED -> FINISHING RULE : ARM SEND_CLOSE RESUME
PEER_FAILED TIME -> FINISHING RULE : ARM SEND_CLOSE RESUME
PEER_FAILED CLOSE -> FINISHING RULE : ARM DISCARD SEND_CLOSE RESUME
PEER_FAILED DROP -> FINISHING OURS : ARM DISCARD SEND_CLOSE RESUME
PEER_FAILED FAILED -> FINISHING OURS : ARM DISCARD SEND_CLOSE RESUME
PEER_FAILED PEER_END -> PEER_FAILED NONE : PAUSE
PEER_FAILED LOST -> CLOSED RULE : DISARM RELEASE
PEER_FAILED = LEAVE PEER_CLOSE PEER_ERROR SENT SENT_UNREAD

PEER_GONE HANDLED -> ANSWERING ABNORMAL : ARM
PEER_GONE TIME -> ANSWERING ABNORMAL : ARM
PEER_GONE CLOSE -> ANSWERING ABNORMAL : ARM DISCARD
PEER_GONE DROP -> ANSWERING OURS : ARM DISCARD SEND_CLOSE
PEER_GONE FAILED -> ANSWERING OURS : ARM DISCARD SEND_CLOSE
PEER_GONE LOST -> CLOSED ABNORMAL : DISARM RELEASE
PEER_GONE = LEAVE PEER_CLOSE PEER_ERROR PEER_END SENT SENT_UNREAD

CLOSING PEER_CLOSE -> ANSWERING OURS : ARM
CLOSING PEER_ERROR -> FINISHING ABNORMAL : ARM
CLOSING DROP -> FINISHING OURS : ARM
CLOSING PEER_END -> ANSWERING ABNORMAL : ARM PAUSE
CLOSING TIME -> CLOSED ABNORMAL : DISARM RELEASE
CLOSING LOST -> CLOSED ABNORMAL : DISARM RELEASE
CLOSING = CLOSE FAILED HANDLED LEAVE SENT SENT_UNREAD

FINISHING SENT -> DRAINING NONE : SHUT_DOWN
FINISHING SENT_UNREAD -> DRAINING NONE : SHUT_DOWN
FINISHING PEER_CLOSE -> ANSWERING NONE :
FINISHING PEER_END -> ANSWERING NONE : PAUSE
FINISHING TIME -> CLOSED NONE : DISARM RELEASE
FINISHING LOST -> CLOSED NONE : DISARM RELEASE
FINISHING = CLOSE DROP FAILED LEAVE PEER_ERROR HANDLED

ANSWERING SENT -> CLOSED NONE : DISARM RELEASE
ANSWERING SENT_UNREAD -> DRAINING NONE : RESUME SHUT_DOWN
ANSWERING PEER_END -> ANSWERING NONE : PAUSE
ANSWERING TIME -> CLOSED NONE : DISARM RELEASE
ANSWERING LOST -> CLOSED NONE : DISARM RELEASE
ANSWERING = CLOSE DROP FAILED LEAVE PEER_CLOSE PEER_ERROR HANDLED

DRAINING PEER_CLOSE -> CLOSED NONE : DISARM RELEASE
DRAINING PEER_END -> CLOSED NONE : DISARM RELEASE
DRAINING TIME -> CLOSED NONE : DISARM RELEASE
DRAINING LOST -> CLOSED NONE : DISARM RELEASE
DRAINING = CLOSE DROP FAILED LEAVE PEER_ERROR HANDLED SENT SENT_UNREAD

CLOSED = CLOSE DROP FAILED LEAVE PEER_CLOSE PEER_ERROR PEER_END LOST HANDLED SENT SENT_UNREAD TIME
"""

DECIDED = {State.FINISHING, State.ANSWERING, State.DRAINING, State.CLOSED}
"""The states in which it is known which reason the service will get."""


class Row(NamedTuple):
    state: State
    event: Event
    then: State
    outcome: Outcome
    actions: Action

    def __str__(self) -> str:
        return f"{self.state.name}-{self.event.name}"


def parse(line: str) -> Row:
    cause, effect = line.split("->")
    target, actions = effect.split(":")
    (state, event), (then, outcome) = cause.split(), target.split()
    todo = Action(sum(Action[name] for name in actions.split()))
    return Row(State[state], Event[event], State[then], Outcome[outcome], todo)


CHANGES = [parse(line) for line in ROWS.splitlines() if "->" in line]
UNCHANGED = [
    (State[state], Event[event])
    for state, events in (line.split(" = ") for line in ROWS.splitlines() if "=" in line)
    for event in events.split()
]


def look_up(state: State, event: Event) -> Row:
    then, outcome, actions = closing.TRANSITIONS[state][event]
    return Row(state, event, State(then), Outcome(outcome), Action(actions))


def rows() -> list[Row]:
    return [look_up(state, event) for state in State for event in Event]


class Position(NamedTuple):
    """How far a connection has got, by the actions so far."""

    state: State = State.OPEN
    outcome: Outcome = Outcome.NONE
    closes_sent: int = 0
    peer_closed: bool = False
    peer_ended: bool = False
    reading: bool = True
    armed: bool = False
    times_armed: int = 0
    shut_down: int = 0
    released: int = 0


class Step(NamedTuple):
    before: Position
    row: Row
    after: Position


def count(times: int, done: bool) -> int:
    return min(times + done, 3)  # beyond the limit, more does not matter


def take(before: Position, event: Event) -> Step:
    """Take a step in the table, as a connection would."""
    row = look_up(before.state, event)
    actions = row.actions
    reading = (before.reading and Action.PAUSE not in actions) or Action.RESUME in actions
    after = Position(
        row.then,
        row.outcome or before.outcome,
        count(before.closes_sent, Action.SEND_CLOSE in actions),
        before.peer_closed or event == Event.PEER_CLOSE,
        before.peer_ended or event == Event.PEER_END,
        reading,
        (before.armed and Action.DISARM not in actions) or Action.ARM in actions,
        count(before.times_armed, Action.ARM in actions),
        count(before.shut_down, Action.SHUT_DOWN in actions),
        count(before.released, Action.RELEASE in actions),
    )
    return Step(before, row, after)


def is_possible(position: Position, event: Event) -> bool:
    """Return whether this can happen, given that the peer sends nothing after its last word."""
    if event == Event.PEER_CLOSE:
        return not (position.peer_closed or position.peer_ended or position.state == State.PEER_FAILED)
    return event != Event.PEER_END or position.reading


def follow(position: Position) -> Iterator[Step]:
    for event in Event:
        if is_possible(position, event):
            yield take(position, event)


def every_step() -> list[Step]:
    """Return every step that is possible on any path from the start, breadth first.

    While messages may be waiting, a full inbox may pause reading, too.
    """
    steps: list[Step] = []
    seen = {Position()}
    queue = [Position()]
    for position in queue:
        reached = [step.after for step in follow(position)]
        if position.state in closing.ACTIVE:
            reached.append(position._replace(reading=False))
        steps += follow(position)
        for after in reached:
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return steps


def walk(*events: Event) -> list[Position]:
    positions = [Position()]
    for event in events:
        positions.append(take(positions[-1], event).after)
    return positions


# The table


@pytest.mark.parametrize("row", CHANGES, ids=str)
def test_an_event_changes_what_its_row_says(row):
    assert look_up(row.state, row.event) == row


@pytest.mark.parametrize(("state", "event"), UNCHANGED, ids=lambda member: member.name)
def test_any_other_event_changes_nothing(state, event):
    assert closing.TRANSITIONS[state][event] == (state, closing.NONE, 0)


def test_each_state_says_what_each_event_does():
    told = [(row.state, row.event) for row in CHANGES] + UNCHANGED
    assert sorted(told) == [(state, event) for state in State for event in Event]


def test_the_table_is_of_plain_integers_by_state_and_event():
    """Members of an enumeration would be slower, and would take more memory if made by arithmetic."""
    assert [len(events) for events in closing.TRANSITIONS] == [len(Event)] * len(State)
    cells = [cell for events in closing.TRANSITIONS for row in events for cell in row]
    assert {type(cell) for cell in cells} == {int}


@pytest.mark.parametrize("names", [State, Event, Outcome, Action])
def test_each_name_stands_for_its_plain_integer_in_the_module(names):
    for member in names:
        constant = getattr(closing, member.name)
        assert type(constant) is int
        assert constant == member


def test_messages_may_be_sent_until_our_close_frame_is_out_or_the_connection_is_lost():
    assert {
        State.OPEN,
        State.LEAVING,
        State.PEER_CLOSED,
        State.PEER_FAILED,
        State.PEER_GONE,
    } == closing.ACTIVE
    for step in every_step():
        if step.after.state in closing.ACTIVE:
            assert not step.after.closes_sent
            assert step.before.state in closing.ACTIVE


def test_a_last_word_is_held_back_in_exactly_the_states_that_end_when_the_messages_are_handled():
    assert {
        row.state for row in rows() if row.event == Event.HANDLED and row.then != row.state
    } == closing.HELD


# What is true on every path


def test_every_state_can_be_reached():
    assert {step.after.state for step in every_step()} == set(State)


def test_every_row_that_changes_something_can_be_used():
    used = {(step.row.state, step.row.event) for step in every_step()}
    assert {(row.state, row.event) for row in CHANGES} <= used


def test_closed_is_final():
    for event in Event:
        assert look_up(State.CLOSED, event) == Row(State.CLOSED, event, State.CLOSED, Outcome.NONE, Action(0))


def test_there_is_no_way_back():
    assert all(row.then >= row.state for row in rows())


def test_it_is_six_steps_at_most_to_the_end():
    depth = dict.fromkeys(State, 0)
    for row in sorted(rows()):
        if row.then != row.state:
            depth[row.then] = max(depth[row.then], depth[row.state] + 1)
    assert depth[State.CLOSED] == 6 == max(depth.values())


def test_an_outcome_once_decided_never_changes():
    for step in every_step():
        if step.before.outcome:
            assert step.row.outcome == Outcome.NONE


def test_the_outcome_is_known_as_soon_as_only_output_and_the_peer_are_awaited():
    for step in every_step():
        assert (step.after.outcome != Outcome.NONE) == (step.after.state in DECIDED)


def test_a_lost_connection_is_closed_in_whatever_state():
    for state in State:
        assert look_up(state, Event.LOST).then == State.CLOSED


@pytest.mark.parametrize("state", list(State)[1:])
def test_time_alone_closes_whatever_is_no_longer_open(state):
    once = look_up(state, Event.TIME).then
    assert look_up(once, Event.TIME).then == State.CLOSED
    assert once == State.CLOSED or state in closing.HELD


def test_an_open_connection_has_no_time_limit_and_every_wait_after_it_has_one():
    for step in every_step():
        assert step.after.armed == (step.after.state not in (State.OPEN, State.CLOSED))


def test_the_time_limit_is_set_twice_at_most_and_once_more_after_leaving():
    steps = every_step()
    assert max(step.after.times_armed for step in steps) == 3
    left = {step.after for step in steps if step.after.state == State.LEAVING}
    straight = [Position()]
    for position in straight:
        straight += [after for _, _, after in follow(position) if after not in left and after not in straight]
    assert max(position.times_armed for position in straight) == 2


def test_a_close_frame_is_sent_once_at_most():
    assert max(step.after.closes_sent for step in every_step()) == 1


def test_1006_is_never_sent():
    for row in rows():
        if row.outcome == Outcome.ABNORMAL:
            assert Action.SEND_CLOSE not in row.actions


def test_a_close_frame_is_sent_whenever_a_code_for_it_is_decided_and_the_socket_is_there():
    for step in every_step():
        if step.row.outcome not in (Outcome.NONE, Outcome.ABNORMAL) and step.after.state != State.CLOSED:
            assert step.after.closes_sent == 1


def test_the_peers_close_frame_is_answered_unless_the_connection_is_lost():
    """Section 5.5.1."""
    for step in every_step():
        if step.after.peer_closed and step.after.state not in (State.PEER_CLOSED, State.CLOSED):
            assert step.after.closes_sent == 1
        if step.before.state == State.PEER_CLOSED and step.after.state == State.CLOSED:
            assert step.row.event == Event.LOST


def test_the_socket_is_closed_exactly_once_and_then_its_time_limit_is_forgotten():
    for step in every_step():
        assert step.after.released == (step.after.state == State.CLOSED)
        assert (Action.RELEASE in step.row.actions) == (Action.DISARM in step.row.actions)


def test_the_socket_is_half_closed_exactly_once_and_then_drained():
    for step in every_step():
        assert (Action.SHUT_DOWN in step.row.actions) == (
            step.after.state == State.DRAINING != step.before.state
        )
        assert step.after.shut_down <= 1


def test_nothing_is_closed_before_the_output_has_left_unless_its_time_is_over_or_nobody_is_there():
    for row in rows():
        if row.then >= State.DRAINING > row.state:
            assert row.event in (Event.SENT, Event.SENT_UNREAD, Event.TIME, Event.LOST)


def test_with_both_close_frames_there_the_server_closes_first_and_at_once():
    """Sections 5.5.1 and 7.1.1."""
    for step in every_step():
        if step.after.peer_closed and step.after.closes_sent:
            assert step.after.state >= State.ANSWERING
            assert take(step.after._replace(state=State.ANSWERING), Event.SENT).after.state == State.CLOSED


def test_a_socket_with_input_unread_is_not_closed_but_read_to_its_end():
    """Otherwise it would be reset, which can destroy what is on its way to the peer (7.1.1)."""
    for row in rows():
        if row.event == Event.SENT_UNREAD:
            assert Action.RELEASE not in row.actions
    assert look_up(State.ANSWERING, Event.SENT_UNREAD).then == State.DRAINING
    assert look_up(State.FINISHING, Event.SENT_UNREAD).then == State.DRAINING


def test_whoever_waits_for_the_peer_reads():
    for step in every_step():
        if step.after.state in (State.CLOSING, State.FINISHING, State.DRAINING):
            assert step.after.reading


def test_the_end_of_the_peers_stream_is_read_once():
    """Otherwise the socket would be readable again and again."""
    for step in every_step():
        if step.row.event == Event.PEER_END and step.after.state != State.CLOSED:
            assert not step.after.reading


def test_reading_stops_only_at_the_end_of_the_peers_stream_and_where_the_server_leaves():
    assert {row.event for row in rows() if Action.PAUSE in row.actions} == {Event.PEER_END, Event.LEAVE}


def test_messages_are_discarded_exactly_when_the_service_wants_no_more():
    wanted = {
        (row.state, row.event)
        for row in rows()
        if row.state in closing.ACTIVE and row.event in (Event.CLOSE, Event.DROP, Event.FAILED)
    }
    assert {(row.state, row.event) for row in rows() if Action.DISCARD in row.actions} == wanted


def test_the_service_gets_the_code_of_the_peers_last_word():
    told = {
        State.PEER_CLOSED: Outcome.PEERS,
        State.PEER_FAILED: Outcome.RULE,
        State.PEER_GONE: Outcome.ABNORMAL,
    }
    for state, outcome in told.items():
        for event in (Event.HANDLED, Event.TIME, Event.CLOSE, Event.LOST):
            assert look_up(state, event).outcome == outcome


def test_drop_and_an_exception_of_the_service_count_while_messages_may_be_sent():
    for state in closing.ACTIVE:
        for event in (Event.DROP, Event.FAILED):
            assert look_up(State(state), event).outcome == Outcome.OURS


def test_our_close_counts_exactly_if_it_was_answered_or_followed_by_a_drop():
    ends = {
        (row.event, row.outcome) for row in rows() if row.state == State.CLOSING and row.then != State.CLOSING
    }
    assert ends == {
        (Event.PEER_CLOSE, Outcome.OURS),
        (Event.DROP, Outcome.OURS),
        (Event.PEER_ERROR, Outcome.ABNORMAL),
        (Event.PEER_END, Outcome.ABNORMAL),
        (Event.TIME, Outcome.ABNORMAL),
        (Event.LOST, Outcome.ABNORMAL),
    }


# Some paths, from beginning to end


@pytest.mark.parametrize(
    ("events", "states", "outcome"),
    [
        pytest.param(
            "PEER_CLOSE HANDLED SENT", "PEER_CLOSED ANSWERING CLOSED", "PEERS", id="the peer closes"
        ),
        pytest.param(
            "PEER_CLOSE TIME SENT HANDLED",
            "PEER_CLOSED ANSWERING CLOSED CLOSED",
            "PEERS",
            id="the service is busy for too long",
        ),
        pytest.param("CLOSE PEER_CLOSE SENT", "CLOSING ANSWERING CLOSED", "OURS", id="we close"),
        pytest.param("CLOSE TIME", "CLOSING CLOSED", "ABNORMAL", id="nobody answers"),
        pytest.param(
            "LEAVE HANDLED PEER_CLOSE SENT",
            "LEAVING CLOSING ANSWERING CLOSED",
            "OURS",
            id="the server leaves when the service has caught up",
        ),
        pytest.param(
            "LEAVE PEER_CLOSE HANDLED SENT",
            "LEAVING PEER_CLOSED ANSWERING CLOSED",
            "PEERS",
            id="the server leaves, but the peer has closed already",
        ),
        pytest.param(
            "LEAVE TIME HANDLED TIME",
            "LEAVING CLOSING CLOSING CLOSED",
            "ABNORMAL",
            id="the server leaves a busy service and a silent peer",
        ),
        pytest.param(
            "CLOSE PEER_END SENT",
            "CLOSING ANSWERING CLOSED",
            "ABNORMAL",
            id="the peer ends without an answer",
        ),
        pytest.param(
            "CLOSE DROP PEER_CLOSE SENT",
            "CLOSING FINISHING ANSWERING CLOSED",
            "OURS",
            id="we lose patience just before the answer",
        ),
        pytest.param(
            "DROP SENT PEER_END",
            "FINISHING DRAINING CLOSED",
            "OURS",
            id="we drop, and the peer closes its socket",
        ),
        pytest.param("DROP SENT TIME", "FINISHING DRAINING CLOSED", "OURS", id="we drop, and it does not"),
        pytest.param(
            "PEER_ERROR HANDLED SENT_UNREAD PEER_END",
            "PEER_FAILED FINISHING DRAINING CLOSED",
            "RULE",
            id="the peer breaks a rule and sends on",
        ),
        pytest.param(
            "PEER_ERROR PEER_END HANDLED PEER_END SENT",
            "PEER_FAILED PEER_FAILED FINISHING ANSWERING CLOSED",
            "RULE",
            id="the peer breaks a rule and ends its stream",
        ),
        pytest.param(
            "PEER_END HANDLED SENT",
            "PEER_GONE ANSWERING CLOSED",
            "ABNORMAL",
            id="the peer half-closes and reads",
        ),
        pytest.param(
            "PEER_CLOSE LOST HANDLED", "PEER_CLOSED CLOSED CLOSED", "PEERS", id="closed, then reset"
        ),
        pytest.param("LOST FAILED CLOSE", "CLOSED CLOSED CLOSED", "ABNORMAL", id="reset"),
    ],
)
def test_a_connection_ends(events, states, outcome):
    start, *positions = walk(*(Event[name] for name in events.split()))
    assert [position.state.name for position in positions] == states.split()
    assert (start.outcome.name, positions[-1].outcome.name) == ("NONE", outcome)
