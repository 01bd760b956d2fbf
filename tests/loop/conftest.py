"""A loop of a test's own, in the hub of all."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from geventkws.loop.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(gevent.get_hub())
    yield loop
    loop.close()
