"""``flask serve``: serves the application with its WebSockets; ``flask run`` serves only HTTP."""

from __future__ import annotations

import logging
import os
import sys

import click
from flask.cli import ScriptInfo, pass_script_info

from geventkws import reloading
from geventkws.patched import run_patched
from geventkws.server.server import WebSocketServer
from geventkws.server.start_up import LOG_FORMAT


@click.command("serve", short_help="Serve the application and its WebSockets with geventkws.")
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", "-p", default=5000, show_default=True, help="The port; 0 picks a free one.")
@click.option(
    "--cert", "certfile", type=click.Path(exists=True), help="The file with the certificate, for https."
)
@click.option("--key", "keyfile", type=click.Path(exists=True), help="The file with its key.")
@click.option("--reload", is_flag=True, help="Restart when a Python file in this directory changes.")
@pass_script_info
def serve(
    info: ScriptInfo, host: str, port: int, certfile: str | None, keyfile: str | None, reload: bool
) -> None:
    """Serve the application and its WebSockets, until SIGINT (Ctrl-C) or SIGTERM.

    The standard library is patched for gevent before the application is imported.
    """
    if reload and not reloading.is_child():
        sys.exit(_hold((host, port)))
    run_patched("--module", "flask")
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    if reload:
        reloading.serve_as_child(info.load_app(), certfile=certfile, keyfile=keyfile)
    else:
        WebSocketServer((host, port), info.load_app(), certfile=certfile, keyfile=keyfile).serve_forever()


def _hold(address: tuple[str, int]) -> int:
    """Hold the listening socket for the processes that serve, one after another."""
    try:
        return reloading.hold(address, os.getcwd(), lambda text: click.secho(text, fg="cyan", err=True))
    except ModuleNotFoundError as error:
        raise click.UsageError(f"--reload needs {error.name}: pip install {error.name}") from None
