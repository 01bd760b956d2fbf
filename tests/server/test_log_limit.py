"""What is logged only once in a while."""

from __future__ import annotations

from geventkws.server.log_limit import MOST_KEYS, LogLimit


def test_each_thing_is_said_once_per_period() -> None:
    limit = LogLimit(60)
    assert [limit.allows(key) for key in ("a", "a", "b", "a")] == [True, False, True, False]


def test_and_again_in_the_next() -> None:
    limit = LogLimit(0)
    assert limit.allows()
    assert limit.allows()


def test_what_is_remembered_is_limited() -> None:
    limit = LogLimit(60)
    assert sum(limit.allows(number) for number in range(1000)) == MOST_KEYS
