"""What a subscriber is sent and told is held against what was published."""

from __future__ import annotations

from tests.soak.book import Book, Place, Reading
from tests.soak.tally import Tally


def entered(*entries: tuple[int, str, str]) -> list[str]:
    book = Book()
    for offset, epoch, message in entries:
        book.enter((offset, epoch), message)
    return list(book.complaints())


def begun(place: Place = (4, "e")) -> tuple[Book, Tally, Reading]:
    book, tally = Book(), Tally()
    reading = Reading(book, tally)
    reading.begin(place, False, [])
    return book, tally, reading


def test_publications_in_order_are_fine_in_each_epoch() -> None:
    assert not entered((1, "e", "a 7"), (2, "e", "b 0"), (3, "e", "a 8"), (1, "f", "a 8"), (1, "e", "a 7"))


def test_two_publications_at_one_place_are_noticed() -> None:
    assert entered((1, "e", "a 0"), (1, "e", "b 0")) == ["'a 0' and 'b 0' are both said to be at (1, 'e')"]


def test_a_publication_that_is_doubled_missing_or_too_early_is_noticed() -> None:
    assert entered((1, "e", "a 0"), (2, "e", "a 0")) == ["publication 0 of a came after 0"]
    assert entered((1, "e", "a 0"), (2, "e", "a 2")) == ["publication 2 of a came after 0"]
    assert entered((9, "e", "a 1"), (10, "e", "a 0")) == ["publication 0 of a came after 1"]


def test_a_subscriber_that_gets_everything_has_no_complaint() -> None:
    book, tally, reading = begun()
    reading.take((5, "e"), "a 0")
    reading.begin((6, "e"), True, [((6, "e"), "a 1")])
    reading.begin((3, "f"), False, [])
    reading.take((4, "f"), "a 2")
    reading.finish()
    assert (tally.lost, tally.doubled, tally.disorder, tally.complaints) == (0, 0, 0, [])
    assert (tally.messages, book.told, reading.place) == (3, 1, (4, "f"))


def test_what_came_early_is_in_order_too_up_to_where_the_subscription_begins() -> None:
    for offsets, lost in (((5, 6, 7), 0), ((6, 7), 0), ((5, 7), 1), ((9,), 1)):
        _, tally, reading = begun()
        reading.begin((7, "f"), False, [((offset, "f"), "a 0") for offset in offsets])
        reading.finish()
        assert (tally.lost, tally.doubled, reading.place) == (lost, 0, (offsets[-1], "f"))


def test_what_is_lost_doubled_or_out_of_order_is_counted() -> None:
    _, tally, reading = begun()
    for offset in (5, 7, 6, 7, 9):
        reading.take((offset, "e"), f"a {offset}")
    reading.finish()
    assert (tally.lost, tally.doubled, tally.disorder) == (1, 1, 1)


def test_another_epoch_that_nobody_told_of_is_noticed() -> None:
    _, tally, reading = begun()
    reading.take((5, "f"), "a 0")
    assert tally.complaints == ["(5, 'f') came after (4, 'e'), and nobody told"]


def test_to_be_told_of_a_loss_without_one_is_noticed() -> None:
    _, tally, reading = begun()
    reading.begin((9, "e"), False, [])
    assert tally.complaints == ["told that something is missing, which is not, at (9, 'e')"]
