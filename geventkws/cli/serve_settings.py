"""The options of ``geventkws serve``, in the order of its help."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import click

from geventkws.cli.config import use_file
from geventkws.cli.errors import import_extra
from geventkws.cli.help import Setting
from geventkws.cli.logs import ACCESS_LOGS, LEVELS
from geventkws.cli.server_options import server_settings
from geventkws.cli.types import certificate, service

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_NAME = click.Path()
DIRECTORY = click.Path(exists=True, file_okay=False)

DEFAULT_BIND = "127.0.0.1:8000"

GROUPS = ("Application", "Addresses", "TLS", "Logs", "Stopping", "Development", "Server", "Limits")


def serve_settings() -> list[Setting]:
    """Return the options, group by group."""
    settings = [*_application(), *_addresses(), *_tls(), *_logs(), *_life(), *server_settings()]
    return sorted(settings, key=lambda setting: GROUPS.index(setting.group))


def use_env_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Take variables of a file that are not in the environment yet (the callback of ``--env-file``)."""
    if path is not None:
        import_extra("dotenv", "python-dotenv", "--env-file").load_dotenv(path)
    return path


def _application() -> Iterable[Setting]:
    setting = partial(Setting, group="Application")
    yield setting(
        ["--service", "services"],
        type=service,
        multiple=True,
        metavar="PATH=MODULE:SERVICE",
        help="a path, and the service there: a class, an instance or a call; may be given several times",
    )
    yield setting(
        ["--app-dir"],
        type=DIRECTORY,
        default=".",
        metavar="DIRECTORY",
        help="where modules are looked for first",
        shown="the current directory",
    )
    yield setting(
        ["--env-file"],
        type=FILE,
        is_eager=True,
        callback=use_env_file,
        metavar="FILE",
        help="lines NAME=value, for the environment; what is there already stays as it is",
    )
    yield setting(
        ["--config"],
        type=FILE,
        is_eager=True,
        callback=use_file,
        metavar="FILE",
        help="these options in TOML",
        shown="geventkws.toml, else [tool.geventkws] of pyproject.toml",
    )


def _addresses() -> Iterable[Setting]:
    setting = partial(Setting, group="Addresses")
    yield setting(
        ["--bind", "binds"],
        multiple=True,
        default=(DEFAULT_BIND,),
        metavar="ADDRESS",
        help="host:port, [::1]:port, :port for every address, unix:/path, or systemd for the socket that it"
        " passes on; port 0 is a free one, which the log tells; may be given several times",
        shown=DEFAULT_BIND,
    )
    yield setting(
        ["--backlog"],
        type=click.IntRange(min=1),
        metavar="N",
        help="connections that may wait to be accepted",
        shown="256",
    )


def _tls() -> Iterable[Setting]:
    setting = partial(Setting, group="TLS")
    yield setting(
        ["--certfile"],
        type=FILE_NAME,
        metavar="FILE",
        help="the certificate, with those of its issuers: https and wss; SIGHUP reads the files again",
    )
    yield setting(["--keyfile"], type=FILE_NAME, metavar="FILE", help="its key, if not in the same file")
    yield setting(
        ["--certificate", "certificates"],
        type=certificate,
        multiple=True,
        metavar="NAME=CERT,KEY",
        help="the certificate of a further name, such as www.example.org or *.example.org; may be given"
        " several times",
    )


def _logs() -> Iterable[Setting]:
    setting = partial(Setting, group="Logs")
    yield setting(
        ["--log-level"],
        type=click.Choice(LEVELS, case_sensitive=False),
        metavar="|".join(LEVELS),
        help="what is logged on stderr",
        shown="info",
    )
    yield setting(
        ["--access-log"],
        type=click.Choice(ACCESS_LOGS),
        metavar="|".join(ACCESS_LOGS),
        help="a line on stdout for each request and each WebSocket that is over",
        shown="combined",
    )
    yield setting(
        ["--log-config"],
        type=FILE,
        metavar="FILE",
        help="a configuration of Python's logging, instead: .json or .toml (dictConfig), else .ini",
    )


def _life() -> Iterable[Setting]:
    stopping, development = partial(Setting, group="Stopping"), partial(Setting, group="Development")
    yield stopping(
        ["--health"],
        metavar="PATH",
        help='a path that is answered with 200, {"status": "ok"}, and with 503, "draining", before the end',
    )
    yield stopping(
        ["--drain-delay"],
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="how long the server goes on after that, until the load balancer has noticed",
        shown="0 s",
    )
    yield development(
        ["--reload/--no-reload"],
        default=False,
        help="start again when a file of Python has changed; WebSockets are closed with 1012",
        shown="off",
    )
    yield development(
        ["--reload-dir", "reload_dirs"],
        type=DIRECTORY,
        multiple=True,
        metavar="DIRECTORY",
        help="where such files are; may be given several times",
        shown="that of --app-dir",
    )
