"""The memory that compression costs a connection: measured where it is too large for noise to hide."""

from __future__ import annotations

from benchmarks.deflate_memory import PAYLOAD, kib_per_connection


def test_a_connection_that_keeps_both_contexts_is_measured_with_what_they_need():
    assert 180 < kib_per_connection("both-contexts", 150) < 350


def test_a_connection_without_compression_is_measured_with_much_less():
    assert 0 < kib_per_connection("off", 400) < 60


def test_the_messages_have_the_documented_size():
    assert len(PAYLOAD) == 4096
