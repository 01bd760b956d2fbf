"""Fixtures for the tests of the protocol."""

from __future__ import annotations

from typing import Protocol

import pytest

from geventkws.protocol.frames import UNLIMITED
from geventkws.protocol.messages import Event
from tests.backends import Backend
from tests.helpers import Feed
from tests.protocol.feeding import frames_at_a_time


class Parse(Protocol):
    def __call__(
        self, data: bytes, *, max_message_size: int = 1 << 20, max_fragments: int = 1 << 17
    ) -> list[Event]: ...


@pytest.fixture(params=[UNLIMITED, 1], ids=["all frames", "frame by frame"])
def max_frames(request: pytest.FixtureRequest) -> int:
    """How many frames are taken at once."""
    return int(request.param)


@pytest.fixture
def parse(backend: Backend, chunked: Feed, max_frames: int) -> Parse:
    """A function that returns the events in a client's bytes, however these are cut into reads and taken."""

    def parse(data: bytes, *, max_message_size: int = 1 << 20, max_fragments: int = 1 << 17) -> list[Event]:
        parser = backend.FrameParser(max_message_size, max_fragments)
        return [event for chunk in chunked(data) for event in frames_at_a_time(parser, chunk, max_frames)]

    return parse
