"""A subscriber whose client returns: what it has missed, what was held back meanwhile, and what comes then.

A publication has no position if its publisher keeps no history: a program of another configuration.
"""

from __future__ import annotations

import pytest

from geventkws.pubsub import Position, Publication
from geventkws.pubsub.subscriber import Subscriber
from tests.pubsub.conftest import Connect


def publication(number: int | None, text: str | None = None) -> Publication:
    position = None if number is None else Position(number, "epoch")
    return Publication(text or f"{number}", "news", position)


@pytest.mark.parametrize(
    ("held", "live", "expected"),
    [
        ([2, 3, 4], [5], [1, 2, 3, 4, 5]),
        ([None, 2, 3, 4], [5], [1, 2, 3, None, 4, 5]),
        ([2, None, 3, 4], [5], [1, 2, 3, None, 4, 5]),
        ([4, None], [3, 4, 5], [1, 2, 3, 4, None, 5]),
        ([4], [None, 4, None, 5], [1, 2, 3, 4, None, None, 5]),
        ([], [None, 3, 4], [1, 2, 3, None, 4]),
    ],
)
def test_each_publication_is_sent_once_and_those_without_a_position_as_they_come(
    client: Connect, held: list[int | None], live: list[int | None], expected: list[int | None]
) -> None:
    ann = client()
    subscriber = Subscriber(ann.connection, None, None, False)
    for number in held:
        subscriber.take(publication(number), frozenset(), {})
    last = subscriber.go_live([publication(number) for number in (1, 2, 3)], Position(3, "epoch"))
    assert last == Position(max(number or 3 for number in [*held, 3]), "epoch")
    for number in live:
        subscriber.take(publication(number), frozenset(), {})
    assert [ann.receive() for _ in expected] == [str(number) for number in expected]
    ann.settle()
    subscriber.take(publication(None, "end"), frozenset(), {})
    assert ann.receive() == "end"


def test_what_was_held_back_of_an_epoch_that_is_over_is_lost_and_does_not_become_the_position(
    client: Connect,
) -> None:
    ann = client()
    subscriber = Subscriber(ann.connection, None, None, False)
    top = Position(1, "next epoch")
    subscriber.take(publication(2, "before Redis lost it"), frozenset(), {})
    subscriber.take(Publication("after", "news", Position(2, "next epoch")), frozenset(), {})
    assert subscriber.go_live([], top) == Position(2, "next epoch")
    assert ann.receive() == "after"
