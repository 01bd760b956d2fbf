"""How the command line fails: with a line that says what is wrong, and an exit status."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Any

import click

from geventkws.cli import colours

BROKEN = 1
"""The application, a service or ``--on-start`` failed."""

USAGE = 2
"""An option, a configuration file or the name of an object is wrong."""

ADDRESS = 3
"""Cannot listen on an address, or cannot reach a server."""

CERTIFICATE = 4
"""A certificate or key cannot be used."""


ELSEWHERE = {
    "--port": "--bind :PORT",
    "--host": "--bind HOST:PORT",
    "--listen": "--bind HOST:PORT",
    "--ssl-certfile": "--certfile",
    "--ssl-keyfile": "--keyfile",
}
"""Options of other servers, which people try first, and what they are called here."""


class Failure(click.ClickException):
    """Why the command line cannot go on, in one line, with the exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def tell(error: click.ClickException) -> None:
    """Write one line on stderr."""
    message = " ".join(error.format_message().split())
    click.echo(f"{colours.styled('Error:', sys.stderr, fg='red', bold=True)} {message}", err=True)


def translated(error: click.ClickException) -> click.ClickException:
    """Return the error to show: for an option of other servers, one that names ours."""
    if isinstance(error, click.NoSuchOption) and error.option_name in ELSEWHERE:
        ours = ELSEWHERE[error.option_name]
        return Failure(USAGE, f"No such option '{error.option_name}'. Did you mean '{ours}'?")
    return error


def broken(what: str, error: BaseException) -> Failure:
    """Return the failure of the user's code, and print its traceback from the user's first line on."""
    lines = traceback.format_exception(type(error), error, _theirs(error.__traceback__))
    click.echo("".join(lines), nl=False, err=True)
    return Failure(BROKEN, f"{what} failed: {type(error).__name__}, see above")


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _is_ours(trace: TracebackType) -> bool:
    name = str(trace.tb_frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in ("geventkws", "importlib")


def import_extra(module: str, package: str, what: str, extra: str = "cli") -> Any:
    """Import a module of ``package``, which only ``what`` needs, and which the ``extra`` installs."""
    try:
        found: ModuleType = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise Failure(USAGE, f"{what} needs {package}: pip install 'geventkws[{extra}]'") from None
    return found
