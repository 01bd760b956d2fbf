"""gunicorn with one worker; ``GUNICORN_CMD_ARGS`` says of which class."""

from __future__ import annotations

import sys

from gunicorn.app.wsgiapp import run

from benchmarks.peers.command_line import ADDRESS, parse_options


def serve(application: str, *arguments: str) -> None:
    """Serve ``module:name`` until the process is ended."""
    options = parse_options()
    sys.argv = ["gunicorn", f"--bind={ADDRESS}:{options.port}", "--workers=1", "--keep-alive=75"]
    sys.argv += ["--log-level=error", *arguments]
    if options.certfile:
        sys.argv += [f"--certfile={options.certfile}", f"--keyfile={options.keyfile}"]
    sys.argv.append(application)
    run()


if __name__ == "__main__":
    serve("benchmarks.peers.http_app:application")
