"""gunicorn with one worker, whose class is set by ``GUNICORN_CMD_ARGS``."""

from __future__ import annotations

import sys
from typing import Any

from gunicorn.app.wsgiapp import run

from benchmarks.peers.command_line import ADDRESS, BACKLOG, MAX_CONNECTIONS, Options, parse_options


def settings(options: Options) -> dict[str, Any]:
    """Return the options of the command line, without certificates."""
    return {
        "--workers": 1,
        "--backlog": BACKLOG,
        "--worker-connections": MAX_CONNECTIONS,
        "--keep-alive": options.keepalive_timeout,
        "--log-level": "error",
    }


def serve(application: str | None = None) -> None:
    """Serve ``module:name``, by default that of the command line, until the process is ended."""
    options = parse_options(settings)
    sys.argv = ["gunicorn", f"--bind={ADDRESS}:{options.port}"]
    sys.argv += [f"{name}={value}" for name, value in settings(options).items()]
    if options.certfile:
        sys.argv += [f"--certfile={options.certfile}", f"--keyfile={options.keyfile}"]
    sys.argv.append(application or options.application)
    run()


if __name__ == "__main__":
    serve()
