"""Fixtures of the tests of the protocol."""

from __future__ import annotations

from typing import Protocol

import pytest

from geventkws.protocol.messages import Event
from tests.backends import Backend
from tests.helpers import Feed


class Parse(Protocol):
    def __call__(
        self, data: bytes, *, max_message_size: int = 1 << 20, max_fragments: int = 1 << 17
    ) -> list[Event]: ...


@pytest.fixture
def parse(backend: Backend, chunked: Feed) -> Parse:
    """A function that gives the events of a client's bytes, however these are cut into reads."""

    def parse(data: bytes, *, max_message_size: int = 1 << 20, max_fragments: int = 1 << 17) -> list[Event]:
        parser = backend.FrameParser(max_message_size, max_fragments)
        return [event for chunk in chunked(data) for event in parser.feed(chunk)]

    return parse
