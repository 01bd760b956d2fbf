"""The page about the closing handshake says what the table says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from docs import closing_diagram
from geventkws.protocol import closing
from geventkws.protocol.closing import ACTIVE, Event, State

DOCS = Path(closing_diagram.__file__).parent
SVG = "{http://www.w3.org/2000/svg}"


def texts(kind: str | None = None) -> list[str | None]:
    picture = ElementTree.fromstring(closing_diagram.svg())
    return [text.text for text in picture.iter(f"{SVG}text") if kind is None or text.get("class") == kind]


def upright_lines() -> list[tuple[int, int, int]]:
    return [
        (int(x), int(top), int(bottom))
        for x, top, bottom in re.findall(r"M(\d+) (\d+)V(\d+)", closing_diagram.svg())
    ]


def boxes() -> list[tuple[float, float, float, float]]:
    picture = ElementTree.fromstring(closing_diagram.svg())
    found = [box for box in picture.iter(f"{SVG}rect") if box.get("class") != "page"]
    assert len(found) == len(State)
    return [
        (left, top, left + float(box.get("width", "")), top + float(box.get("height", "")))
        for box in found
        for left, top in [(float(box.get("x", "")), float(box.get("y", "")))]
    ]


def test_the_page_and_the_picture_are_what_the_program_makes_of_the_table(tmp_path):
    (tmp_path / "topics").mkdir()
    shutil.copy(DOCS / closing_diagram.PAGE, tmp_path / "topics")
    subprocess.run([sys.executable, closing_diagram.__file__, tmp_path], check=True, timeout=100)
    for name in (closing_diagram.PAGE, closing_diagram.PICTURE):
        committed, made = ((place / name).read_text("utf-8") for place in (DOCS, tmp_path))
        assert committed == made, "run: python docs/closing_diagram.py"


def test_a_changed_table_makes_another_page_and_another_picture(monkeypatch):
    page, picture = DOCS.joinpath(closing_diagram.PAGE).read_text("utf-8"), closing_diagram.svg()
    changed = [list(events) for events in closing.TRANSITIONS]
    changed[State.DRAINING][Event.SENT] = (State.CLOSED, 0, closing.RELEASE)
    monkeypatch.setattr(closing_diagram, "TRANSITIONS", changed)
    assert closing_diagram.page(page) != page
    assert closing_diagram.svg() != picture


def test_the_table_on_the_page_has_every_change_once():
    found = []
    state = ""
    for line in closing_diagram.table().splitlines()[2:]:
        first, events, *_ = (cell.strip().replace("`", "") for cell in line.strip("|").split("|"))
        state = first or state
        found += [(State[state], Event[event]) for event in events.split(", ")]
    assert sorted(found) == [
        (state, event)
        for state in State
        for event in Event
        if closing.TRANSITIONS[state][event] != (state, closing.NONE, 0)
    ]


def test_every_state_and_every_change_of_state_is_drawn_except_those_that_the_page_names():
    changes = [row for row in closing_diagram.rows() if row.then != row.state]
    left_out = [
        row
        for row in changes
        if (row.then == State.CLOSED and row.event in (Event.LOST, Event.TIME))
        or (row.state == State.LEAVING and row.event in (Event.PEER_CLOSE, Event.PEER_ERROR))
    ]
    assert texts("state") == [state.name for state in closing_diagram.LAYOUT]
    assert len(texts()) == len(State) + len(changes) - len(left_out)


def test_what_the_page_says_about_the_arrows_left_out_is_true():
    drawn = {row.state for arrow in closing_diagram.arrows() for row in arrow.rows if row.event == Event.TIME}
    for state in set(State) - {State.CLOSED}:
        assert closing.TRANSITIONS[state][Event.LOST][0] == State.CLOSED
        to_the_end = closing.TRANSITIONS[state][Event.TIME][0] == State.CLOSED
        assert to_the_end == (state not in drawn and state != State.OPEN)


def test_bold_events_are_those_that_send_our_close_frame():
    sending = [row for row in closing_diagram.rows() if row.actions & closing.SEND_CLOSE]
    assert sorted(map(str, texts("sends"))) == sorted(row.event.name for row in sending)


def test_the_green_boxes_are_those_in_which_messages_may_be_sent():
    assert closing_diagram.svg().count('class="active"') == len(ACTIVE)


def test_no_box_overlaps_another_and_no_arrow_crosses_one():
    for number, (left, top, right, bottom) in enumerate(boxes()):
        for other in boxes()[number + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
        for x, start, end in upright_lines():
            assert not (left < x < right and start < bottom and end > top)


def test_no_arrow_overlaps_another():
    lines = upright_lines()
    for number, (x, start, end) in enumerate(lines):
        assert all(
            x != other or start >= below or above >= end for other, above, below in lines[number + 1 :]
        )


def test_everything_is_within_the_picture():
    picture = ElementTree.fromstring(closing_diagram.svg())
    width, height = float(picture.get("width", "")), float(picture.get("height", ""))
    for _, _, right, bottom in boxes():
        assert right < width
        assert bottom < height
    for text in picture.iter(f"{SVG}text"):
        assert float(text.get("x", "")) + 7 * len(text.text or "") * (text.get("class") != "state") < width


def test_an_arrow_without_room_is_an_error():
    arrow = closing_diagram.Arrow(State.PEER_GONE, State.FINISHING, [])
    with pytest.raises(ValueError, match="PEER_GONE -> FINISHING: change LAYOUT"):
        closing_diagram._upright(arrow)
