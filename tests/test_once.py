"""What is logged about a service is logged once, and not without end."""

from __future__ import annotations

from geventkws.once import MAX_TOLD, first_time, remember_together


class Service:
    pass


def test_each_thing_is_told_once_for_each_service() -> None:
    one, other = Service(), Service()
    assert first_time(one, "a")
    assert not first_time(one, "a")
    assert first_time(one, "b")
    assert first_time(other, "a")


def test_strangers_cannot_make_it_tell_without_end() -> None:
    service = Service()
    assert sum(first_time(service, number) for number in range(2 * MAX_TOLD)) == MAX_TOLD


def test_one_that_stands_for_another_shares_its_memory() -> None:
    service, wrapper = Service(), Service()
    assert first_time(service, "a")
    remember_together(service, wrapper)
    assert not first_time(wrapper, "a")
    assert first_time(wrapper, "b")
    assert not first_time(service, "b")
