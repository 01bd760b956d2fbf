"""Draws the closing handshake from its table: ``python docs/closing_diagram.py``.

Writes ``closing.svg`` and the table in ``topics/closing.md``, both beside this program or in a directory
given as an argument. The states are laid out by hand; the arrows and their labels come from the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from geventkws.protocol.closing import ACTIVE, TRANSITIONS, Action, Event, Outcome, State

PICTURE = "closing.svg"
PAGE = Path("topics", "closing.md")
BEGIN, END = "<!-- The table: python docs/closing_diagram.py -->\n", "<!-- The end of the table -->\n"

LEFT_OUT = {Event.LOST, Event.TIME}
"""They lead to ``CLOSED`` from nearly everywhere; these arrows are left out, and the page says so."""

HELD_BACK_TWICE = {State.PEER_CLOSED, State.PEER_FAILED}
"""Arrows from ``LEAVING`` to these would cross others; they are left out, and the page says so."""

COLUMN, BOX, LINE, MARGIN, GAP = 108, 30, 15, 14, 34

# By state: the row, and the first and the last of eight columns.
LAYOUT = {
    State.OPEN: (0, 0, 7),
    State.LEAVING: (1, 2, 3),
    State.PEER_FAILED: (2, 0, 0),
    State.CLOSING: (2, 3, 5),
    State.PEER_CLOSED: (2, 6, 6),
    State.PEER_GONE: (2, 7, 7),
    State.FINISHING: (3, 0, 3),
    State.ANSWERING: (3, 5, 7),
    State.DRAINING: (4, 0, 5),
    State.CLOSED: (5, 0, 7),
}

# The picture has its own background: the page may be light although the reader's system is dark.
STYLE = """\
text { font: 11.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #24292f }
.state { font-weight: 600; text-anchor: middle }
.sends { font-weight: 700; fill: #0550ae }
.page { fill: #ffffff }
.box { fill: #eaeef2; stroke: #8c959f }
.active { fill: #dafbe1; stroke: #1a7f37 }
.arrow { stroke: #57606a; stroke-width: 1.5; fill: none }
.head { fill: #57606a }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .sends { fill: #79c0ff }
  .page { fill: #0d1117 }
  .box { fill: #21262d; stroke: #6e7681 }
  .active { fill: #12261e; stroke: #3fb950 }
  .arrow { stroke: #9198a1 }
  .head { fill: #9198a1 }
}"""


class Row(NamedTuple):
    """What an event does in a state."""

    state: State
    event: Event
    then: State
    outcome: Outcome
    actions: Action


class Arrow(NamedTuple):
    """The events that lead from one state to another."""

    start: State
    end: State
    rows: list[Row]


def rows() -> list[Row]:
    """Return the rows of the table that change something."""
    found = []
    for state in State:
        for event in Event:
            then, outcome, actions = TRANSITIONS[state][event]
            if (then, outcome, actions) != (state, Outcome.NONE, 0):
                found.append(Row(state, event, State(then), Outcome(outcome), Action(actions)))
    return found


def arrows() -> list[Arrow]:
    """Return the arrows to be drawn."""
    drawn = [
        row
        for row in rows()
        if row.then != row.state
        and not (row.then == State.CLOSED and row.event in LEFT_OUT)
        and not (row.state == State.LEAVING and row.then in HELD_BACK_TWICE)
    ]
    drawn.sort(key=lambda row: (row.state, row.then))
    return [
        Arrow(*ends, list(those)) for ends, those in groupby(drawn, key=lambda row: (row.state, row.then))
    ]


# The picture


def svg() -> str:
    """Return the diagram as an SVG document."""
    found = arrows()
    tops = _tops(found)
    width = 2 * MARGIN + COLUMN * (1 + max(last for _, _, last in LAYOUT.values()))
    height = tops[-1] + BOX + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            "<title>The states of the closing handshake and the events between them</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{width}" height="{height}" rx="6"/>',
            *(part for state in LAYOUT for part in _box(state, tops)),
            *(part for arrow in found for part in _arrow(arrow, tops)),
            "</svg>",
            "",
        ]
    )


def _tops(found: list[Arrow]) -> list[int]:
    """Return where the rows of boxes begin, with room between them for the labels."""
    tops = [MARGIN]
    for row in range(max(row for row, _, _ in LAYOUT.values())):
        lines = [len(arrow.rows) for arrow in found if LAYOUT[arrow.start][0] == row != LAYOUT[arrow.end][0]]
        tops.append(tops[-1] + BOX + GAP + LINE * max(lines, default=0))
    return tops


def _edges(state: State) -> tuple[int, int]:
    _, first, last = LAYOUT[state]
    return MARGIN + COLUMN * first, MARGIN + COLUMN * (last + 1) - MARGIN


def _box(state: State, tops: list[int]) -> Iterator[str]:
    left, right = _edges(state)
    top = tops[LAYOUT[state][0]]
    kind = "active" if state in ACTIVE else "box"
    yield f'<rect class="{kind}" x="{left}" y="{top}" width="{right - left}" height="{BOX}" rx="5"/>'
    yield f'<text class="state" x="{(left + right) / 2:g}" y="{top + 19}">{escape(state.name)}</text>'


def _arrow(arrow: Arrow, tops: list[int]) -> Iterator[str]:
    (row, _, _), (end_row, _, _) = LAYOUT[arrow.start], LAYOUT[arrow.end]
    if row == end_row:
        x, y = _edges(arrow.start)[1], tops[row] + BOX // 2
        end = _edges(arrow.end)[0]
        yield f'<path class="arrow" d="M{x} {y}H{end - 7}"/>'
        yield f'<path class="head" d="M{end} {y}l-9 -4.5v9z"/>'
        x, y = x + 8, y - 8 - LINE * (len(arrow.rows) - 1)
    else:
        x, y, end = _upright(arrow), tops[row] + BOX, tops[end_row]
        yield f'<path class="arrow" d="M{x} {y}V{end - 7}"/>'
        yield f'<path class="head" d="M{x} {end}l-4.5 -9h9z"/>'
        x, y = x + 7, y + 18
    for number, label in enumerate(arrow.rows):
        kind = ' class="sends"' if Action.SEND_CLOSE in label.actions else ""
        yield f'<text{kind} x="{x}" y="{y + LINE * number}">{escape(label.event.name)}</text>'


def _upright(arrow: Arrow) -> int:
    """Return where an arrow runs from one row to another: in the middle of the columns free for both."""
    (top, *start), (bottom, *end) = LAYOUT[arrow.start], LAYOUT[arrow.end]
    free = set(range(start[0], start[1] + 1)) & set(range(end[0], end[1] + 1))
    for row, first, last in LAYOUT.values():
        if top < row < bottom:
            free -= set(range(first, last + 1))
    if not free:
        raise ValueError(f"no column is free for {arrow.start.name} -> {arrow.end.name}: change LAYOUT")
    left, right = MARGIN + COLUMN * min(free), MARGIN + COLUMN * (max(free) + 1) - MARGIN
    return (left + right) // 2 - 20  # a little to the left, because the labels are at its right


# The table


def table() -> str:
    """Return all rows as a Markdown table; events with the same effect share a row."""
    lines = ["| state | event | then | outcome | actions |", "|---|---|---|---|---|"]
    for state, those in groupby(_by_effect(), key=lambda row: row[0].state):
        for number, same in enumerate(those):
            name = f"`{state.name}`" if not number else ""
            events = ", ".join(f"`{row.event.name}`" for row in same)
            lines.append(f"| {name} | {events} | {_effect(same[0])} |")
    return "\n".join(lines) + "\n"


def _by_effect() -> Iterator[list[Row]]:
    effects: dict[tuple[int, ...], list[Row]] = {}
    for row in rows():
        effects.setdefault((row.state, row.then, row.outcome, row.actions), []).append(row)
    yield from effects.values()


def _effect(row: Row) -> str:
    then = f"`{row.then.name}`" if row.then != row.state else ""
    outcome = f"`{row.outcome.name}`" if row.outcome else ""
    return (
        f"{then} | {outcome} | {', '.join(f'`{action.name}`' for action in Action if action in row.actions)}"
    )


def page(text: str) -> str:
    """Return the text of the page with the table inserted."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main(directory: Path) -> None:
    """Write the diagram and the table into the documentation in ``directory``."""
    directory.joinpath(PICTURE).write_text(svg(), "utf-8")
    path = directory / PAGE
    path.write_text(page(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
