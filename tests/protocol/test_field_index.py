"""The fields that matter in a request head, found by name."""

from __future__ import annotations

from typing import Any

import pytest

from geventkws.protocol.field_index import MAX_KNOWN_NAME, MAX_KNOWN_NAMES
from tests.helpers import forms

FORMS = forms("geventkws.protocol.field_index")


@pytest.fixture(params=FORMS)
def index(request: pytest.FixtureRequest) -> Any:
    """An index, in its readable and in its compiled form."""
    return FORMS[request.param].FieldIndex("Host", "Sec-WebSocket-Key")


def test_values_are_found_by_our_spelling_of_the_name_however_it_was_sent(index: Any) -> None:
    for _ in range(2):  # the second time, the names are known
        fields = (("HOST", "a"), ("Accept", "*"), ("sec-websocket-key", "b"), ("host", "c"), ("Host", "a"))
        assert index.lines(fields) == {"Host": ["a", "c", "a"], "Sec-WebSocket-Key": ["b"]}


def test_a_name_that_nobody_sent_has_no_lines(index: Any) -> None:
    assert index.lines(()) == {}


def test_names_are_remembered_within_limits(index: Any) -> None:
    for number in range(3_000):
        short, long = f"X-{number}", f"{number}{'n' * MAX_KNOWN_NAME}"
        assert index.lines([(short, ""), (long, ""), ("hOST", "h")]) == {"Host": ["h"]}
    assert index._known["hOST"] == "Host"
    assert len(index._known) == MAX_KNOWN_NAMES
    assert max(map(len, index._known)) <= MAX_KNOWN_NAME
