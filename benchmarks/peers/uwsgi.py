"""uWSGI with its own WebSockets and its gevent loop; one process, one greenlet for each connection."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_CONNECTIONS, Options, parse_options


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Send every message back."""
    import uwsgi

    uwsgi.websocket_handshake()
    while True:
        try:
            message = uwsgi.websocket_recv()
        except OSError:
            return []
        uwsgi.websocket_send_binary(message)


def settings(options: Options) -> dict[str, Any]:
    """Return the options of the command line."""
    return {
        "--gevent": MAX_CONNECTIONS,
        "--listen": BACKLOG,
        "--http-timeout": options.keepalive_timeout,
    }


def main() -> None:
    """Serve until the process is ended."""
    options = parse_options(settings)
    program = shutil.which("uwsgi", path=str(Path(sys.executable).parent))
    if program is None:
        sys.exit("uwsgi is not installed")
    command = [
        program,
        "--master",
        "--die-on-term",
        "--disable-logging",
        "--http-websockets",
        "--gevent-monkey-patch",
    ]
    command += [f"--http-socket={ADDRESS}:{options.port}", "--module=benchmarks.peers.uwsgi:application"]
    command += [f"{name}={value}" for name, value in settings(options).items()]
    os.execv(program, command)


if __name__ == "__main__":
    main()
