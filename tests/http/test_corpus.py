"""The corpus of raw requests through the reader, however they are cut, and the page about the corpus."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from geventkws.http.errors import HTTPError
from geventkws.http.head import RequestHead
from geventkws.http.reader import RequestReader
from tests.helpers import Feed
from tests.http.cases import CASES, CORPUS, Case
from tests.http.refusals_page import PAGE, page


def outcomes(reads: Iterable[bytes]) -> list[str | int]:
    """Read as a connection does, and return the outcomes in the notation of the corpus."""
    reader = RequestReader()
    told: list[str | int] = []
    head: RequestHead | None = None
    body = rest = b""
    closed = False
    try:
        for data in reads:
            if closed or (head is not None and head.upgrade):
                rest += data
                continue
            reader.feed(data)
            while not closed and (head is not None or (head := reader.head()) is not None):
                if head.upgrade:
                    rest = reader.take_rest()
                    break
                if (piece := reader.body()) is None:
                    break
                body += piece
                if not piece:
                    told.append(f"{head.method} {head.target} {body.decode('latin-1')}".rstrip(" "))
                    closed = not head.keep_alive
                    rest = reader.take_rest() if closed else b""
                    head, body = None, b""
    except HTTPError as error:
        return [*told, error.status]
    if head is not None and head.upgrade:
        told.append(f"upgrade {head.target} {rest.decode('latin-1')}".rstrip(" "))
    elif closed and rest:
        told.append("closed")
    elif head is not None or reader.has_more():
        told.append("unfinished")
    return told


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_case_has_its_outcome_however_it_is_cut(case: Case, chunked: Feed) -> None:
    assert outcomes(chunked(case.data)) == case.expect


def test_every_file_of_the_corpus_belongs_to_a_case() -> None:
    files = {path.relative_to(CORPUS).with_suffix("").as_posix() for path in CORPUS.glob("*/*.http")}
    assert files == {str(case) for case in CASES}


def test_the_page_about_refusals_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.http.refusals_page"
