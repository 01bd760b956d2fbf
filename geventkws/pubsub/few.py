"""Collections without duplicates that mostly have one item, such as the channels of a connection.

A tuple while they are small: with one item, it takes a quarter of the memory of a ``set`` or ``dict``.
"""

from __future__ import annotations

from typing import TypeVar

Item = TypeVar("Item")
Few = tuple[Item, ...] | dict[Item, None]
"""Items in the order in which they were added. To be replaced by what the functions below return."""

MAX_TUPLE = 8
"""The most items that are looked for one after the other."""


def added(items: Few[Item], item: Item) -> Few[Item]:
    """Return the collection with an item, which may be there already."""
    if item in items:
        return items
    if isinstance(items, dict):
        items[item] = None
        return items
    more = (*items, item)
    return more if len(more) <= MAX_TUPLE else dict.fromkeys(more)


def removed(items: Few[Item], item: Item) -> Few[Item]:
    """Return the collection without an item, which need not be there."""
    if isinstance(items, dict):
        items.pop(item, None)
        return items
    return tuple(one for one in items if one != item)
