"""Clients that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from geventkws.centrifuge import CentrifugeService
from tests.centrifuge.peers import PATH, Peer

Enter = Callable[..., Peer]


@pytest.fixture
def enter() -> Iterator[Enter]:
    """A function that lets a client connect to a service: by default as ``ann``."""
    with ExitStack() as stack:

        def enter(service: CentrifugeService, path: str = PATH, **data: Any) -> Peer:
            peer = stack.enter_context(Peer(service, path))
            peer.ask("connect", data=data)
            return peer

        yield enter
