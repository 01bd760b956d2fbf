"""What is cached of strangers' bytes, and of applications' texts, is limited in number and size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from geventkws.http import fields as readable_fields
from geventkws.http.environ import EnvironBuilder
from geventkws.http.reader import RequestReader
from geventkws.protocol import origin, tokens
from geventkws.protocol.field_index import MAX_KNOWN_NAME, MAX_KNOWN_NAMES
from tests.helpers import forms, running

FIELD_LINES = forms("geventkws.http.field_lines")

LONG = 60_000
MANY = 3_000


def size_of(texts: Iterable[str]) -> int:
    return sum(map(len, texts))


def read(reader: RequestReader, lines: str):
    reader.feed(f"GET / HTTP/1.1\r\n{lines}\r\n\r\n".encode())
    return reader.head()


@pytest.mark.skipif("compiled" not in FIELD_LINES, reason="the readable form remembers no names")
def test_decoded_names_are_shared_and_make_room_for_others() -> None:
    compiled: Any = FIELD_LINES["compiled"]
    names = [f"X-{number}" for number in range(MANY)]
    for name in (*names, "n" * LONG):
        (one,), (other,) = (compiled.cut_fields(f"{name}: x\r\n\r\n".encode(), 0, 1) for _ in range(2))
        assert one[0] == name
        assert (one[0] is other[0]) == (len(name) < LONG)
    assert len(compiled.shared_names) == 512
    assert max(map(len, compiled.shared_names)) <= 64


def test_long_names_of_fields_are_not_remembered() -> None:
    builder, reader = EnvironBuilder("h", 80), RequestReader()
    for number in range(20):
        head = read(reader, f"Host: h\r\n{number:02}{'n' * LONG}: x")
        assert f"HTTP_{number:02}{'N' * LONG}" in builder.build(head, "")
    assert size_of(builder._keys) < 1_000


def test_only_a_limited_number_of_short_names_is_remembered() -> None:
    builder, reader = EnvironBuilder("h", 80), RequestReader()
    for number in range(MANY):
        head = read(reader, f"Host: h\r\nX-{number}: x")
        assert builder.build(head, "")[f"HTTP_X_{number}"] == "x"
    assert len(builder._keys) <= MAX_KNOWN_NAMES
    assert size_of(builder._keys) <= MAX_KNOWN_NAMES * MAX_KNOWN_NAME


@pytest.mark.parametrize(
    ("cache", "look_up"),
    [
        (origin._known_authority, lambda text: origin.parse_authority(text)),
        (origin._known_origin, lambda text: origin.parse_origin(f"http://{text}")),
        (tokens._known_tokens, lambda text: tokens.tokens([text])),
    ],
    ids=["hosts", "origins", "lists"],
)
def test_long_hosts_origins_and_lists_are_not_remembered(cache, look_up) -> None:
    cache.cache_clear()
    for number in range(20):
        look_up(f"{number}{'a' * LONG}")
    assert cache.cache_info().currsize == 0
    for number in range(MANY):
        look_up(f"h{number}")
    assert 0 < cache.cache_info().currsize <= cache.cache_info().maxsize <= 512


def test_hosts_of_requests_are_not_remembered_elsewhere() -> None:
    origin._known_authority.cache_clear()
    reader = RequestReader()
    for number in range(20):
        assert read(reader, f"Host: {number}{'a' * LONG}") is not None
    assert origin._known_authority.cache_info().currsize == 0


def test_statuses_names_and_warnings_of_applications_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = running(readable_fields)
    for cache in ("_known_names", "_known_statuses", "_warnings_given"):
        monkeypatch.setattr(fields, cache, type(getattr(fields, cache))())
    for number in range(MANY):
        fields.Fields([(f"X-{number}", "x"), ("X" * 1_000 + str(number), "x")])
        fields.read_status(f"200 {number}")
        fields.read_status(f"200 {number}{'x' * 1_000}")
        fields.warn_once(f"{number}{'x' * 1_000}")
    for known, longest in (
        (fields._known_names, fields.MAX_KNOWN_LENGTH),
        (fields._known_statuses, fields.MAX_KNOWN_LENGTH),
        (fields._warnings_given, fields.MAX_WARNING),
    ):
        assert len(known) == fields.MAX_KNOWN
        assert max(map(len, known)) <= longest
