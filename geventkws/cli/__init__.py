"""The command line, ``geventkws``: serves an application and services; connects to one from a terminal."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, and exit with its status. Needs the packages of the ``cli`` extra."""
    try:
        import click  # noqa: F401
    except ModuleNotFoundError:
        sys.exit("Error: the command line needs click: pip install 'geventkws[cli]'")
    from geventkws.cli.commands import run

    sys.exit(run())
