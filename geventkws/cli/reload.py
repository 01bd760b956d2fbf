"""``geventkws serve --reload``: what is served is planned once, and served by one process after another."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

import click
import gevent

from geventkws import reloading
from geventkws.cli import colours
from geventkws.cli.errors import import_extra
from geventkws.cli.serving import Plan, open_listeners, serve
from geventkws.cli.site import Site


def serve_as_child(plan: Plan) -> None:
    """Serve on the sockets of the other process, until that process says otherwise."""
    listeners, pipe = reloading.inherited()

    def obey(site: Site) -> None:
        gevent.spawn(reloading.obey, pipe, lambda: site.restart(reloading.PATIENCE), site.stop)

    serve(plan, listeners, obey)


def serve_and_watch(plan: Plan, directories: Iterable[str], environ: Mapping[str, str]) -> int:
    """Let another process serve the plan, and a new one whenever a file in the ``directories`` changes.

    ``environ`` is the environment of these processes. Returns on SIGTERM or SIGINT, with the exit status of
    the last process.
    """
    import_extra("watchfiles", "watchfiles", "--reload")
    with open_listeners(plan) as descriptors:
        return reloading.watch(descriptors, directories, environ, _say)


def _say(text: str) -> None:
    click.echo(colours.styled(text, sys.stderr, fg="cyan"), err=True)
