"""granian: hyper, an HTTP server in Rust, which calls the WSGI application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_CONNECTIONS, Options, parse_options


def settings(options: Options) -> dict[str, Any]:
    """Return the keyword arguments of the server, without what it serves."""
    return {
        "interface": Interfaces.WSGI,
        "workers": 1,
        "runtime_threads": 1,
        "blocking_threads": 1,
        "http": HTTPModes.http1,
        # Its head timeout also applies to a connection that waits for the next request.
        "http1_settings": HTTP1Settings(header_read_timeout=options.head_timeout * 1000),
        "websockets": False,
        "backlog": BACKLOG,
        "backpressure": MAX_CONNECTIONS,
        "log_enabled": False,
        "log_access": False,
    }


def serve(static_path_mount: Sequence[Path] | None = None) -> None:
    """Serve until the process is ended; the directories are served below ``/static``, without Python."""
    options = parse_options(settings)
    Granian(
        options.application,
        address=ADDRESS,
        port=options.port,
        static_path_mount=static_path_mount,
        **settings(options),
    ).serve()


if __name__ == "__main__":
    serve()
