"""Programs of applications written for other servers, run in each way that geventkws serves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from simple_websocket import Server

from geventkws.compat import install
from geventkws.compat.engineio import DRIVERS, MODES
from tests.integration.conftest import no_tracebacks, serve
from tests.programs import Program

__all__ = ["no_tracebacks", "serve"]

SCRIPT = """
from gevent import monkey; monkey.patch_all()
import logging; logging.basicConfig(level=logging.INFO)
from geventkws import WebSocketServer
from {module} import app
WebSocketServer(("127.0.0.1", 0), app).serve_forever()
"""

GUNICORN = str(Path(sys.executable).with_name("gunicorn"))


def gunicorn(worker: str, module: str) -> tuple[str, ...]:
    """Return the arguments of Python that serve the application ``app`` of a module by gunicorn."""
    return (GUNICORN, "-k", worker, "--bind", "127.0.0.1:0", "--graceful-timeout", "2", f"{module}:app")


WAYS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "server": lambda module: ("-c", SCRIPT.format(module=module)),
    "serve": lambda module: ("-m", "geventkws", "serve", f"{module}:app", "--bind", "127.0.0.1:0"),
    "gunicorn": lambda module: gunicorn("geventkws.gunicorn.Worker", module),
}
"""How a program is served: the arguments of Python for the application ``app`` of a module."""

OTHER_WAYS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "gunicorn-by-another-name": lambda module: gunicorn(
        "geventkws.compat.geventwebsocket.gunicorn.workers.GeventWebSocketWorker", module
    ),
}
"""Those that need not be tried with every program."""

LISTENING = r"Listening (?:on port |at: http://127\.0\.0\.1:)(\d+)"

Run = Callable[..., int]


@contextmanager
def installed() -> Iterator[None]:
    """Within the block, put what ``install`` knows on our frames, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("__init__", "send", "receive", "close"):
            patch.setattr(Server, name, getattr(Server, name))
        patch.setattr(Server, "connected", False, raising=False)
        for mode in MODES:
            driver = import_module(f"{DRIVERS}.{mode}")._async
            patch.setitem(driver, "websocket", driver["websocket"])
        install()
        yield


@contextmanager
def running(way: str) -> Iterator[Run]:
    """Yield a function that serves the application of a module of this folder, and returns the port.

    It takes the name of the module, further arguments of the program that serves it, and the environment. No
    traceback may be written.
    """
    with ExitStack() as programs:
        started: list[Program] = []

        def start(module: str, *arguments: str, **env: str) -> int:
            command = (*(WAYS | OTHER_WAYS)[way](f"tests.compat.{module}"), *arguments)
            started.append(programs.enter_context(Program(sys.executable, "-u", *command, env=env)))
            return int(started[-1].expect(LISTENING)[1])

        yield start
        for program in started:
            assert "Traceback" not in program.output, program.output


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Serve applications in one of the ways, as ``running`` does."""
    with running(request.param) as start:
        yield start
