"""Checks the installed package as its users have it: ``python installed.py compiled`` in an empty directory.

It needs geventkws with the extra ``testing``, and none of its sources. The argument is the backend that must
be chosen, ``compiled`` or ``pure``.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from gevent.subprocess import check_output

import geventkws
from geventkws.testing import ServerFactory

OPTIONAL = ("cli", "compat", "django", "flask", "gunicorn", "metrics", "pubsub.redis", "centrifuge")
"""What needs more than the extra ``testing``."""

Start = Callable[[str, list[tuple[str, str]]], Any]


class Echo(geventkws.WebSocketService):
    """Sends each message back."""

    def received(self, message: str | bytes, connection: geventkws.WebSocketConnection) -> None:
        """Send it back."""
        connection.send(message)


def hello(environ: dict[str, Any], start_response: Start) -> list[bytes]:
    """Answer every request (PEP 3333)."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def import_everything() -> int:
    """Import all modules that need nothing more, and return how many there are."""
    optional = tuple(f"geventkws.{name}" for name in OPTIONAL)
    names = [module.name for module in pkgutil.walk_packages(geventkws.__path__, "geventkws.")]
    needed = [name for name in names if not name.startswith(optional) and name != "geventkws.__main__"]
    for name in needed:
        importlib.import_module(name)
    return len(needed)


def exchange_messages() -> None:
    """Speak WebSocket and HTTP to a server on a free port."""
    servers = ServerFactory()
    running = servers(Echo(), "/echo", application=hello)
    with running.connect("/echo") as client:
        for message in ("text", b"\0binary", "x" * 100_000):
            client.send(message)
            assert client.receive() == message
    fetch = (
        "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())"
    )
    assert check_output([sys.executable, "-c", fetch, running.url("/", "http")], timeout=60) == b"hello\n"
    assert servers.close() == []


def main(expected: str) -> None:
    """Check everything; an ``AssertionError`` says what is wrong."""
    chosen = geventkws.BACKEND
    assert chosen == expected, f"the backend is {chosen}, not {expected}"
    assert files("geventkws").joinpath("py.typed").is_file()
    modules = import_everything()
    exchange_messages()
    print(
        f"geventkws {geventkws.__version__}, {expected}, Python {sys.version.split()[0]}: {modules} modules"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
