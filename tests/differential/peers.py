"""Servers of other authors: how each is started, and the environment in which they are installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gevent

from tests.certificates import HOST
from tests.clients.browsers import process
from tests.clients.proxies import wait_until_it_listens
from tests.helpers import free_port
from tests.programs import PYTHONPATH, ROOT

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
ENVIRONMENT = ROOT / "build" / "differential"

_OWN = "-m tests.differential.programs"
_WSGI, _ASGI = "tests.differential.apps:wsgi", "tests.differential.apps:asgi"
_UVICORN = f"-m uvicorn --log-level critical --timeout-keep-alive 1 --port {{port}} {_ASGI}"
_DAPHNE = f"-m daphne --verbosity 0 --port {{port}} {_ASGI}"
_GUNICORN = "-m gunicorn -k gthread --threads 8 --keep-alive 1 --log-level critical"
_GRANIAN = f"-m granian --interface asgi --no-log --port {{port}} {_ASGI}"

HTTP_PEERS = {
    "gunicorn": f"{_GUNICORN} --bind {HOST}:{{port}} {_WSGI}",
    "waitress": f"-m waitress --no-log-socket-errors --threads 8 --listen {HOST}:{{port}} {_WSGI}",
    "cheroot": f"-m cheroot --timeout 1 --bind {HOST}:{{port}} {_WSGI}",
    "aiohttp": f"{_OWN} aiohttp {{port}}",
    "uvicorn-h11": f"{_UVICORN} --http h11 --ws none",
    "uvicorn-httptools": f"{_UVICORN} --http httptools --ws none",
    "granian": f"{_GRANIAN} --no-ws",
    "daphne": _DAPHNE,
}
"""How to start each for HTTP: the arguments of Python."""

HANDSHAKE_PEERS = {
    "websockets": f"{_OWN} websockets {{port}}",
    "picows": f"{_OWN} picows {{port}}",
    "aiohttp": f"{_OWN} aiohttp {{port}}",
    "uvicorn-wsproto": f"{_UVICORN} --http h11 --ws wsproto",
    "granian": _GRANIAN,
    "daphne": _DAPHNE,
}
"""How to start each for WebSocket."""


def install() -> Path:
    """Return the Python of an environment that has the peers; make or update it if necessary."""
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "installed"
    if stamp.exists() and stamp.stat().st_mtime > REQUIREMENTS.stat().st_mtime:
        return python
    print(f"Installing the peers in {ENVIRONMENT}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    stamp.touch()
    return python


@contextmanager
def running(
    python: str, peers: Mapping[str, str], names: Iterable[str], directory: Path
) -> Iterator[dict[str, int]]:
    """Run these of the peers, each in a directory of its own, and yield their ports."""
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(_one(python, peers[name], directory / f"peer-{name}")) for name in names
        }
        yield ports


@contextmanager
def _one(python: str, arguments: str, directory: Path) -> Iterator[int]:
    directory.mkdir()
    port = free_port()
    command = arguments.format(port=port).split(" ")
    with process(python, *command, directory=directory, env={"PYTHONPATH": PYTHONPATH}) as started:
        try:
            wait_until_it_listens(started, port)
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"it did not start: {(directory / 'output.txt').read_text()}") from error
        gevent.sleep(0)
        yield port
