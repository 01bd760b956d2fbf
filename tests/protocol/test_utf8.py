"""UTF-8, checked as the bytes arrive (RFC 6455, section 8.1; RFC 3629; Unicode, table 3-7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geventkws.protocol.errors import ProtocolError, invalid_text
from geventkws.protocol.utf8 import decode_text
from tests.protocol.streams import cut

INVALID = invalid_text("A text message must be valid UTF-8")

ANY = range(0x80, 0xC0)
WELL_FORMED: list[tuple[range, ...]] = [
    (range(0x80),),
    (range(0xC2, 0xE0), ANY),
    (range(0xE0, 0xE1), range(0xA0, 0xC0), ANY),
    (range(0xE1, 0xED), ANY, ANY),
    (range(0xED, 0xEE), range(0x80, 0xA0), ANY),
    (range(0xEE, 0xF0), ANY, ANY),
    (range(0xF0, 0xF1), range(0x90, 0xC0), ANY, ANY),
    (range(0xF1, 0xF4), ANY, ANY, ANY),
    (range(0xF4, 0xF5), range(0x80, 0x90), ANY, ANY),
]
"""Unicode's table 3-7, "Well-Formed UTF-8 Byte Sequences"."""

EDGES = sorted({edge for row in WELL_FORMED for part in row for edge in (part[0], part[-1])})


def first_offence(data: bytes) -> int | None:
    """Return the index of the first byte that, by the table, no well-formed text can have there."""
    due: tuple[range, ...] = ()
    for index, byte in enumerate(data):
        if due:
            allowed, *rest = due
            if byte not in allowed:
                return index
            due = tuple(rest)
        else:
            row = next((row for row in WELL_FORMED if byte in row[0]), None)
            if row is None:
                return index
            due = row[1:]
    return None


def refused_at(validator, pieces: list[bytes]) -> int | None:
    """Return the number of the piece that the validator refuses."""
    for number, piece in enumerate(pieces):
        try:
            validator.feed(piece)
        except ProtocolError:
            return number
    return None


def each(data: bytes) -> list[bytes]:
    return cut(data, list(range(1, len(data))))


def test_all_pairs_of_bytes_are_judged_by_the_table_byte_by_byte(backend):
    for number in range(1 << 16):
        data = number.to_bytes(2, "big")
        assert refused_at(backend.Utf8Validator(), each(data)) == first_offence(data), data


def test_all_edges_of_the_table_are_judged_by_it_byte_by_byte(backend):
    for first in EDGES:
        for second in EDGES:
            for third in EDGES:
                for fourth in (0x7F, 0x80, 0xBF, 0xC0):
                    data = bytes((first, second, third, fourth))
                    assert refused_at(backend.Utf8Validator(), each(data)) == first_offence(data), data


@given(data=st.binary(max_size=40) | st.lists(st.sampled_from(EDGES), max_size=40).map(bytes), draw=st.data())
def test_the_piece_with_the_first_bad_byte_is_refused_however_it_is_cut(backend, data, draw):
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    offence = first_offence(data)
    expected = None if offence is None else sum(at <= offence for at in cuts)
    assert refused_at(backend.Utf8Validator(), cut(data, cuts)) == expected


@given(text=st.text(), draw=st.data())
def test_text_is_valid_however_it_is_cut(backend, text, draw):
    data = text.encode()
    validator = backend.Utf8Validator()
    for piece in cut(data, sorted(draw.draw(st.lists(st.integers(0, len(data)))))):
        validator.feed(piece)


@pytest.mark.parametrize("cut_short", [b"\xc3", b"\xe2\x82", b"\xe2", b"\xf0\x9f\x98", b"\xf0\x9f", b"\xf0"])
def test_text_that_ends_inside_a_character_is_refused_at_its_end(backend, chunked, cut_short):
    validator = backend.Utf8Validator()
    for piece in chunked(b"all of it" + cut_short):
        validator.feed(piece)
    with pytest.raises(ProtocolError) as raised:
        decode_text(b"all of it" + cut_short)
    assert raised.value == INVALID


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_the_text_of_a_whole_message_is_a_str(kind):
    assert decode_text(kind("Gr\u00fc\u00dfe \U0001f600".encode())) == "Gr\u00fc\u00dfe \U0001f600"


@pytest.mark.parametrize("data", [b"\x80", b"a\xed\xa0\x80", b"\xe2\x82"])
def test_a_whole_message_that_is_not_utf8_is_refused(data):
    with pytest.raises(ProtocolError) as raised:
        decode_text(data)
    assert raised.value == INVALID
