"""Writes the page of the handshake's edges, out of the table: ``python -m tests.protocol.handshake_page``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tests.protocol.handshake_edges import EDGES, ORDINARY, Edge

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "handshake.md"

INTRODUCTION = """\
# The edges of the handshake

Clients write the same handshake in many ways. What can mean only one thing is taken, however it is
written. What breaks the grammar of RFC 6455, or could be understood in two ways, is refused, for a proxy
in front of the server may understand it in the other.

Each row is an opening handshake that is plain except for the lines shown. The tests send each to a server,
whose service speaks the subprotocol `chat` and compresses. "An ordinary request" asks for no WebSocket:
the application answers it. This page is written from the tests' table by
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
