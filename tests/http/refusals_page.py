"""Writes the page of what is refused, out of the corpus: ``python -m tests.http.refusals_page``."""

from __future__ import annotations

from pathlib import Path

from tests.http.cases import CASES, Case

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "http-refusals.md"

HEADINGS = {
    "request-line": "Request lines",
    "host": "Host",
    "fields": "Header fields",
    "lengths": "Content-Length",
    "codings": "Transfer-Encoding and Expect",
    "chunks": "Chunked bodies",
    "upgrades": "Upgrades",
    "sequences": "Several requests",
    "valid": "What is taken",
}

INTRODUCTION = """\
# What HTTP is refused

Two programs that read the same bytes as different requests are what request smuggling lives on. So
whatever is not plainly one request is refused, and the connection closes: bytes behind it are never read
as a request. Complete requests that arrived before it are answered first.

Each line is a file of raw bytes in `tests/http/corpus`, which the tests feed to the server whole, byte by
byte and in random chunks. The advisories are those of other programs that took, or take, such bytes for
something else; a class is named where it has a name. This page is written from the corpus by
`python -m tests.http.refusals_page`.
"""


def page() -> str:
    """Return the page's text."""
    parts = [INTRODUCTION]
    for group, heading in HEADINGS.items():
        parts += [
            f"\n## {heading}\n\n",
            "| request | outcome | advisories and classes |\n",
            "|---|---|---|\n",
        ]
        parts += [_row(case) for case in CASES if case.group == group]
    return "".join(parts)


def _row(case: Case) -> str:
    title = case.title[0].upper() + case.title[1:]
    if case.why:
        title += f". {case.why}"
    named = ", ".join([*case.advisories, *([case.kind] if case.kind else [])])
    return f"| {_cell(title)} | {_outcome(case)} | {_cell(named)} |\n"


def _outcome(case: Case) -> str:
    words = {"closed": "then closed", "unfinished": "waited for"}
    told = [
        words.get(outcome, "upgrade" if outcome.startswith("upgrade") else "taken")
        if isinstance(outcome, str)
        else str(outcome)
        for outcome in case.expect
    ]
    if told == ["upgrade"] and case.answers != [101]:
        told = [str(status) for status in case.answers]
    return ", ".join(told)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
