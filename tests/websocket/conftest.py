"""A whole server, for what shows only there, and connections on socket pairs for everything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from geventkws import WebSocketService
from tests.integration.conftest import no_tracebacks, serve
from tests.websocket.lines import Line, Start

__all__ = ["no_tracebacks", "serve", "start"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start connections of a service, which end with the test."""
    lines: list[Line] = []

    def begin(service: WebSocketService, **options: Any) -> Line:
        lines.append(Line(service, **options))
        return lines[-1]

    yield begin
    for line in lines:
        line.close()
