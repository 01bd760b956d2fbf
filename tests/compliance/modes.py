"""The modes in which the echo example is served to the test suite: compiled and pure, over ws and wss."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.certificates import HOST, Certificates
from tests.compliance.wstest import AutobahnError
from tests.programs import PYTHONPATH, ROOT
from tests.waiting import PATIENCE

LARGEST_MESSAGE = 16 * 1024 * 1024
"""In bytes; cases 9.* send messages of this size."""
"""Seconds within which the example must listen, and end."""


@dataclass(frozen=True)
class Mode:
    """A backend (``geventkws.BACKEND``) and the scheme of the URL."""

    backend: str
    scheme: str

    @property
    def name(self) -> str:
        """Its name on the command line and in the report's directory."""
        return f"{self.backend}-{self.scheme}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a program that must use the backend."""
        return {**os.environ, "PYTHONPATH": PYTHONPATH, "GEVENTKWS_PURE": str(int(self.backend == "pure"))}


MODES = {mode.name: mode for mode in (Mode(*each) for each in product(("compiled", "pure"), ("ws", "wss")))}


@contextmanager
def echo_server(mode: Mode, directory: Path, log: Path) -> Iterator[str]:
    """Serve the echo example, which writes to ``log``; yields its URL.

    If the mode needs a certificate, it is made in ``directory``.
    """
    check_backend(mode)
    command = [sys.executable, "examples/echo/server.py", "--host", HOST, "--port", "0"]
    command += ["--max-message-size", str(LARGEST_MESSAGE)]
    if mode.scheme == "wss":
        certificates = Certificates(directory)
        command += ["--certfile", certificates.certfile, "--keyfile", certificates.keyfile]
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=ROOT, env=mode.environ, stdout=output, stderr=output)
    try:
        yield f"{mode.scheme}://{HOST}:{listening_port(server, log)}/echo"
        server.terminate()
        if not ended(server, within=PATIENCE):
            raise AutobahnError(f"the echo example did not end at SIGTERM, see {log}")
    finally:
        server.kill()
        server.wait()
    if "Traceback" in log.read_text(errors="replace"):
        raise AutobahnError(f"the server logged a traceback, see {log}")


def check_backend(mode: Mode) -> None:
    """Raise ``AutobahnError`` if a server in ``mode`` would run another backend: its own is not built."""
    command = [sys.executable, "-c", "import geventkws; print(geventkws.BACKEND)"]
    done = subprocess.run(command, env=mode.environ, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise AutobahnError(f"geventkws cannot be imported:\n{done.stderr}")
    if (backend := done.stdout.strip()) != mode.backend:
        raise AutobahnError(
            f"{mode.name} would run {backend}, for it is not built: "
            "BUILD_EXTENSION=yes python setup.py build_ext --inplace"
        )


def listening_port(server: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port that ``server`` logs once it listens."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(r"Listening on port (\d+).*\n", log.read_text(errors="replace"))):
        if ended(server, within=0.05) or time.monotonic() > deadline:
            raise AutobahnError(f"the echo example does not listen, see {log}")
    return int(found[1])


def ended(process: subprocess.Popen[bytes], within: float) -> bool:
    """Wait up to ``within`` seconds; return whether ``process`` has ended."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True
