"""Channels and their subscribers, once for each broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from gevent.monkey import get_original

from geventkws import WebSocketService
from geventkws.pubsub import PubSub
from geventkws.testing import ServiceClient, connect
from tests.waiting import PATIENCE, wait_until

start_new_thread: Callable[..., int] = get_original("_thread", "start_new_thread")


def in_native_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a native thread, while the hub runs, and return what it returns."""
    results: list[Any] = []
    start_new_thread(lambda: results.append(function()), ())
    wait_until(lambda: results)
    return results[0]


class Quiet(WebSocketService):
    """A service that says nothing by itself."""

    def received(self, message: str | bytes, connection: object) -> None:
        pass


Connect = Callable[..., ServiceClient]


@pytest.fixture(params=["memory"])
def pubsub(request: pytest.FixtureRequest) -> PubSub:
    """Channels: those below ``kept:`` have a history, and in those below ``seen:`` people see each other."""
    pubsub = PubSub()
    pubsub.configure("kept:*", history_size=5)
    pubsub.configure("seen:*", presence=True)
    return pubsub


@pytest.fixture
def client() -> Iterator[Connect]:
    """A function that connects clients, whose side in the server is their ``connection``."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(connect(Quiet(), timeout=PATIENCE, **options))
