"""The pages look as they were meant to where Markdown might be taken literally."""

from __future__ import annotations

from pathlib import Path

from tests.docs.conftest import ROOT

SOURCES = ROOT / "docs"


def definitions(source: Path) -> int:
    """Return how many definitions a page has: lines that begin with a colon, below their term."""
    return sum(line.startswith(": ") for line in source.read_text().splitlines())


def test_every_definition_stands_below_its_term(site: Path) -> None:
    pages = {source: definitions(source) for source in sorted(SOURCES.rglob("*.md"))}
    assert sum(pages.values()) > 10
    for source, count in pages.items():
        page = (site / source.relative_to(SOURCES)).with_suffix(".html")
        if count:
            html = page.read_text()
            assert html.count("<dd><p>") == count, page
            assert '<dl class="simple myst">' in html
