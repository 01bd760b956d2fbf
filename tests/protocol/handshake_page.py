"""Writes the page of the handshake's edges from the table: ``python -m tests.protocol.handshake_page``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tests.protocol.handshake_edges import EDGES, ORDINARY, Edge

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "handshake.md"

INTRODUCTION = """\
# The edges of the handshake

Clients write the same handshake in many ways. A handshake that can mean only one thing is accepted, however
it is written. One that breaks the grammar of RFC 6455, or could be understood in two ways, is refused,
because a proxy in front of the server may understand it the other way.

Each row is a plain opening handshake except for the lines shown. The tests send each of them to a server
whose service speaks the subprotocol `chat` and compresses. "An ordinary request" does not ask for a
WebSocket, and is answered by the application. This page is written from the tests' table by
`python -m tests.protocol.handshake_page`.
"""


def page() -> str:
    """Return the page's text."""
    parts = [INTRODUCTION]
    for group, edges in groupby(EDGES, lambda edge: edge.group):
        parts += [f"\n## {group}\n\n", "| sent | answer | why |\n", "|---|---|---|\n", *map(_row, edges)]
    return "".join(parts)


def _row(edge: Edge) -> str:
    sent = "<br>".join(f"`{line}`" for line in edge.lines)
    return f"| {sent} | {_answer(edge)} | {edge.why} |\n"


def _answer(edge: Edge) -> str:
    if edge.status == ORDINARY:
        return "an ordinary request"
    agreed = [f"`{edge.subprotocol}`"] if edge.subprotocol else []
    agreed += ["compressed"] if edge.compressed else []
    return ", ".join([str(edge.status), *agreed])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
