"""Collections that mostly have one item: they hold what a ``dict`` would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geventkws.pubsub.few import MAX_TUPLE, Few, added, removed

CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 2 * MAX_TUPLE)), max_size=100)


@given(CHANGES)
def test_items_are_those_that_were_added_and_not_removed_in_that_order(
    changes: list[tuple[bool, int]],
) -> None:
    items: Few[int] = ()
    expected: dict[int, None] = {}
    for is_added, item in changes:
        if is_added:
            items = added(items, item)
            expected[item] = None
        else:
            items = removed(items, item)
            expected.pop(item, None)
        assert list(items) == list(expected)
        assert bool(items) == bool(expected)


def test_only_a_large_collection_is_searched_by_hash() -> None:
    items: Few[int] = ()
    for item in range(MAX_TUPLE):
        items = added(items, item)
    assert isinstance(items, tuple)
    assert isinstance(added(items, MAX_TUPLE), dict)
