"""granian: hyper, the HTTP server in Rust, calling the WSGI application."""

from __future__ import annotations

from granian import Granian
from granian.constants import Interfaces

from benchmarks.peers.command_line import ADDRESS, parse_options

if __name__ == "__main__":
    Granian(
        "benchmarks.peers.http_app:application",
        address=ADDRESS,
        port=parse_options().port,
        interface=Interfaces.WSGI,
        workers=1,
        log_enabled=False,
    ).serve()
