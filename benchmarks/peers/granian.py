"""granian: hyper, the HTTP server in Rust, calling the WSGI application."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from benchmarks.peers.command_line import ADDRESS, parse_options


def serve(static_path_mount: Sequence[Path] | None = None) -> None:
    """Serve until the process is ended; what is in the directories, below ``/static``, without Python."""
    Granian(
        "benchmarks.peers.http_app:application",
        address=ADDRESS,
        port=parse_options().port,
        interface=Interfaces.WSGI,
        workers=1,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        static_path_mount=static_path_mount,
    ).serve()


if __name__ == "__main__":
    serve()
