"""What no callback may be, since calling it runs nothing, and the errors that this is logged with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


async def coroutine(*args: object) -> None:
    pass


def generator(*args: object) -> Iterator[None]:
    yield


async def async_generator(*args: object) -> Any:
    yield


LAZY = [coroutine, generator, async_generator]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the errors in the log, each with the text of its exception."""
    found = [record for record in caplog.records if record.levelname == "ERROR"]
    return [f"{record.getMessage()}: {record.exc_info[1]}" for record in found if record.exc_info]
