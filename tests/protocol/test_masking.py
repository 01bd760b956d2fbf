"""Masking of a client's payload (RFC 6455, section 5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.peer import KEY, masked
from tests.protocol.streams import KEYS, cut


def test_the_masked_hello_of_the_rfc_is_unmasked(backend):
    assert backend.apply_mask(b"\x7f\x9f\x4d\x51\x58", KEY) == b"Hello"


@pytest.mark.parametrize("size", [*range(70), 1023, 1024, 1025, 65537])
def test_every_size_is_masked_as_it_is_byte_by_byte(backend, size):
    data = bytes(index % 251 for index in range(size))
    assert backend.apply_mask(data, KEY) == masked(data, KEY)


def test_masking_twice_gives_the_data_again(backend):
    data = bytes(range(256))
    assert backend.apply_mask(backend.apply_mask(data, KEY), KEY) == data


def test_a_key_of_zeros_changes_nothing(backend):
    assert backend.apply_mask(b"\x00\xff as it is", bytes(4)) == b"\x00\xff as it is"


@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize("size", [0, 5])
def test_the_result_is_bytes_of_its_own(backend, kind, size):
    result = backend.apply_mask(kind(bytes(size)), KEY)
    assert type(result) is bytes
    assert len(result) == size


def test_the_data_masked_is_left_as_it_was(backend):
    data = bytearray(b"as it was")
    backend.apply_mask(memoryview(data), KEY)
    assert data == b"as it was"


@given(data=st.binary(max_size=200), key=KEYS, at=st.integers(0, 200))
def test_a_payload_may_be_unmasked_in_pieces_by_their_offsets(backend, data, key, at):
    first, second = cut(data, [at])
    pieces = backend.apply_mask(first, key, 0) + backend.apply_mask(second, key, len(first))
    assert pieces == masked(data, key)


@pytest.mark.parametrize("offset", [1, 2, 3, 4, 4097, (1 << 40) + 3])
def test_the_key_repeats_every_four_bytes_however_far_into_the_payload(backend, offset):
    key = KEY[offset % 4 :] + KEY[: offset % 4]
    assert backend.apply_mask(b"far into", KEY, offset) == masked(b"far into", key)
