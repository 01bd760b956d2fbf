"""Whether connections that are over leave anything to the garbage collector."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from geventkws.loop.channel import Channel
from tests.waiting import wait_until


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Collect no garbage during a test."""
    logging.disable()  # a record of a failure keeps the frames that it happened in
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    logging.disable(logging.NOTSET)


@contextmanager
def no_channel_left() -> Iterator[None]:
    """Wait until there are as few channels as before; those in garbage count."""
    before = channels()
    yield
    wait_until(lambda: channels() == before)


def channels() -> int:
    """Return how many channels there are: of connections, and in garbage."""
    # Not isinstance, which asks each object for its class: lazy ones of Django would do something for it.
    return sum(type(each) is Channel for each in gc.get_objects())
