"""The broker of one process: what it forgets, and when."""

from __future__ import annotations

import pytest

from geventkws.pubsub import NodeInfo, Position, Publication, memory
from geventkws.pubsub.broker import Command, Excluded
from geventkws.pubsub.memory import FORGET_AFTER, KEY_TTL, MemoryBroker
from geventkws.pubsub.settings import NOTHING, Settings
from geventkws.pubsub.values import PresenceEvent

KEPT = Settings(history_size=3, history_ttl=10)
TO_ALL: Excluded = frozenset()


class Notes:
    """A node that takes note of what it is told."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []

    def published(self, publication: Publication, exclude: Excluded) -> None:
        self.messages.append(publication.message)

    def presence_changed(self, event: PresenceEvent) -> None: ...

    def commanded(self, command: Command) -> None: ...

    def lost(self, channel: str) -> None: ...

    def wants(self, channel: str) -> bool:
        return True

    def flush(self) -> None: ...

    def census(self, pattern: str) -> dict[str, int]:
        return {}

    def describe(self, node_id: str) -> NodeInfo:
        return NodeInfo(node_id, "", "", 0, 0, 0.0)


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(memory, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def publish(
    broker: MemoryBroker, channel: str, settings: Settings, key: str | None = None
) -> Position | None:
    return broker.publish(channel, "x", TO_ALL, key, settings)


def test_a_history_is_forgotten_long_after_its_last_publication(clock: Clock) -> None:
    broker = MemoryBroker(Notes())
    first = publish(broker, "old", KEPT)
    assert first is not None
    clock.now += KEPT.history_ttl * FORGET_AFTER
    publish(broker, "other", KEPT)
    assert broker.history("old", first, None, KEPT).complete
    clock.now += 1
    publish(broker, "other", KEPT)
    top = broker.history("old", None, None, KEPT).top
    assert top.offset == 0
    assert top.epoch != first.epoch


def test_histories_in_use_do_not_keep_others_from_being_forgotten(clock: Clock) -> None:
    broker = MemoryBroker(Notes())
    for number in range(50):
        publish(broker, f"in use {number}", KEPT._replace(history_ttl=1e6))
    for number in range(50):
        publish(broker, f"old {number}", KEPT)
    clock.now += KEPT.history_ttl * FORGET_AFTER + 1
    for _ in range(100):
        publish(broker, "in use 0", KEPT)
    assert set(broker._histories) == {f"in use {number}" for number in range(50)}


def test_histories_of_channels_that_are_only_looked_at_are_forgotten(clock: Clock) -> None:
    broker = MemoryBroker(Notes())
    for number in range(50):
        broker.history(f"old {number}", None, 0, KEPT)
    clock.now += KEPT.history_ttl * FORGET_AFTER + 1
    for _ in range(50):
        broker.history("new", None, 0, KEPT)
    assert set(broker._histories) == {"new"}


def test_a_key_is_forgotten_after_five_minutes(clock: Clock) -> None:
    notes = Notes()
    broker = MemoryBroker(notes)
    for seconds in (0.0, KEY_TTL, 1.0):
        clock.now += seconds
        publish(broker, "news", NOTHING, key="1")
    assert len(notes.messages) == 1 + 1
    assert len(broker._keys) == 1


def test_a_smaller_history_size_applies_to_what_is_kept() -> None:
    broker = MemoryBroker(Notes())
    for _ in range(3):
        publish(broker, "news", KEPT)
    stream = broker.history("news", None, None, KEPT._replace(history_size=1))
    assert [publication.position and publication.position.offset for publication in stream.publications] == [
        3
    ]
