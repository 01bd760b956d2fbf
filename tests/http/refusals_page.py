"""Writes the page of what HTTP refuses from the corpus: ``python -m tests.http.refusals_page``."""

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
    "valid": "What is accepted",
}

INTRODUCTION = """\
# What HTTP refuses

Request smuggling depends on two programs reading the same bytes as different requests. So whatever is not
plainly one request is refused, and the connection closes: bytes that follow are never read as a request.
Complete requests that arrived earlier are answered first.

Each row is a file of raw bytes in `tests/http/corpus`, which the tests feed to the server whole, byte by
byte and in random chunks. The advisories are about other programs that took, or take, such bytes for
something else; if the kind of attack has a name, it is given. This page is written from the corpus by
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
    words = {"closed": "then closed", "unfinished": "waits for more"}
    outcomes = [
        words.get(outcome, "upgrade" if outcome.startswith("upgrade") else "accepted")
        if isinstance(outcome, str)
        else str(outcome)
        for outcome in case.expect
    ]
    if outcomes == ["upgrade"] and case.answers != [101]:
        outcomes = [str(status) for status in case.answers]
    return ", ".join(outcomes)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
