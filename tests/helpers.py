"""What the tests of several modules share."""

from __future__ import annotations

import importlib
import importlib.util
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any, TypeVar
from unittest.mock import patch

import gevent
import pytest
from gevent.event import AsyncResult

import geventkws.backend
from geventkws.net.transport import Transport
from tests.waiting import PATIENCE

FIRST_PORT, FIRST_EPHEMERAL_PORT = 10_000, 32_768
"""Where the ports begin that ``free_port`` chooses from, and where they end on Linux by default."""

Feed = Callable[[bytes], Iterator[bytes]]
Result = TypeVar("Result")


def whole(data: bytes) -> Iterator[bytes]:
    """Yield ``data`` as one read."""
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """Yield every byte as a separate read."""
    for index in range(len(data)):
        yield data[index : index + 1]


def random_chunks(data: bytes) -> Iterator[bytes]:
    """Yield reads of random sizes, mostly small; the same data is always cut the same way."""
    choice = random.Random(data)
    start = 0
    while start < len(data):
        end = start + choice.choice((1, 2, 3, 7, choice.randint(1, 64), choice.randint(1, 4096)))
        yield data[start:end]
        start = end


FEED_MODES: dict[str, Feed] = {
    "whole": whole,
    "byte by byte": byte_by_byte,
    "random chunks": random_chunks,
}


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens now, for a program that needs a port number.

    It is none of those that the system gives to connections, which could take it before the program does.
    """
    while True:
        port = FIRST_PORT + secrets.randbelow(FIRST_EPHEMERAL_PORT - FIRST_PORT)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def require_program(*names: str) -> str:
    """Return the path of the first of these programs that is installed; without one, skip the test."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"{' or '.join(names)} is not installed")


def readable(name: str) -> ModuleType:
    """Return a copy of a module that is not replaced by its compiled form, whichever backend runs."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.object(geventkws.backend, "BACKEND", "pure"):
        spec.loader.exec_module(module)
    return module


def forms(name: str) -> dict[str, Any]:
    """Return the forms of a module: ``"pure"`` and, if it is built, ``"compiled"``."""
    package, _, module = name.rpartition(".")
    found: dict[str, Any] = {"pure": readable(name)}
    with suppress(ModuleNotFoundError):
        found["compiled"] = importlib.import_module(f"{package}._c_{module}")
    return found


def running(module: ModuleType) -> ModuleType:
    """Return the module whose globals are in effect: the compiled form of ``module``, if that runs."""
    package, _, name = module.__name__.rpartition(".")
    return sys.modules.get(f"{package}._c_{name}", module)


def fill(transport: Transport) -> int:
    """Send until the socket takes no more; return how many bytes that was."""
    filled = 0
    while sent := transport.send([bytes(65536)]):
        filled += sent
    return filled


def in_hub(function: Callable[..., Result], *args: Any) -> Result:
    """Call ``function`` in the hub, as a watcher would, and return what it returns."""
    outcome: AsyncResult[Result] = AsyncResult()

    def call() -> None:
        try:
            outcome.set(function(*args))
        except BaseException as error:
            outcome.set_exception(error)

    gevent.get_hub().loop.run_callback(call)
    result: Result = outcome.get(timeout=PATIENCE)  # type: ignore[assignment]
    return result
