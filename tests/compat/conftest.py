"""Programs of applications written for other servers, run in each way that geventkws serves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

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

WAYS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "server": lambda module: ("-c", SCRIPT.format(module=module)),
    "serve": lambda module: ("-m", "geventkws", "serve", f"{module}:app", "--bind", "127.0.0.1:0"),
    "gunicorn": lambda module: (
        *(GUNICORN, "-k", "geventkws.gunicorn.Worker", "--bind", "127.0.0.1:0", "--graceful-timeout", "2"),
        f"{module}:app",
    ),
}
"""How a program is served: the arguments of Python for the application ``app`` of a module."""

READY = {"gunicorn": r"Listening at: http://127\.0\.0\.1:(\d+)"}
LISTENING = r"Listening on port (\d+)"

Run = Callable[..., int]


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Serve the application of a module of this folder, with this environment, and return the port.

    No traceback may be written.
    """
    with ExitStack() as programs:
        running: list[Program] = []

        def start(module: str, **env: str) -> int:
            command = WAYS[request.param](f"tests.compat.{module}")
            running.append(programs.enter_context(Program(sys.executable, "-u", *command, env=env)))
            return int(running[-1].expect(READY.get(request.param, LISTENING))[1])

        yield start
        for program in running:
            assert "Traceback" not in program.output, program.output
