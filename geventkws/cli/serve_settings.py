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

GROUPS = (
    "Application",
    "Addresses",
    "TLS",
    "Processes",
    "Logs",
    "Metrics",
    "Stopping",
    "Development",
    "Server",
    "Limits",
)


def serve_settings() -> list[Setting]:
    """Return the options in the order of their groups."""
    settings = [
        *_application(),
        *_addresses(),
        *_tls(),
        *_processes(),
        *_logs(),
        *_metrics(),
        *_life(),
        *server_settings(),
    ]
    return sorted(settings, key=lambda setting: GROUPS.index(setting.group))


def use_env_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Add the variables of a file that are not yet in the environment (the callback of ``--env-file``)."""
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
        help="a path and the service there: a class, an instance or a call; may be given several times",
    )
    yield setting(
        ["--app-dir"],
        type=DIRECTORY,
        default=".",
        metavar="DIRECTORY",
        help="where to look for modules first",
        shown="the current directory",
    )
    yield setting(
        ["--env-file"],
        type=FILE,
        is_eager=True,
        callback=use_env_file,
        metavar="FILE",
        help="a file of NAME=value lines for the environment; variables already set stay as they are",
    )
    yield setting(
        ["--config"],
        type=FILE,
        is_eager=True,
        callback=use_file,
        metavar="FILE",
        help="a TOML file with these options",
        shown="geventkws.toml, otherwise [tool.geventkws] in pyproject.toml",
    )


def _addresses() -> Iterable[Setting]:
    setting = partial(Setting, group="Addresses")
    yield setting(
        ["--bind", "binds"],
        multiple=True,
        default=(DEFAULT_BIND,),
        metavar="ADDRESS",
        help="host:port, [::1]:port, :port for every address, unix:/path, or systemd for the socket that"
        " systemd passes on; port 0 picks a free port, which is logged; may be given several times",
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
        help="the certificate with its chain, for https and wss; read again on SIGHUP",
    )
    yield setting(["--keyfile"], type=FILE_NAME, metavar="FILE", help="its key, if not in the same file")
    yield setting(
        ["--certificate", "certificates"],
        type=certificate,
        multiple=True,
        metavar="NAME=CERT,KEY",
        help="the certificate for a further name, such as www.example.org or *.example.org; may be given"
        " several times",
    )


def _processes() -> Iterable[Setting]:
    setting = partial(Setting, group="Processes")
    yield setting(
        ["--workers"],
        type=click.IntRange(min=1),
        metavar="N",
        help="serve in so many processes, which gunicorn starts; services keep their state in each of them",
        shown="one process, without gunicorn",
    )
    yield setting(
        ["--pidfile"],
        type=FILE_NAME,
        metavar="FILE",
        help="a file for the number of gunicorn's process, to which signals are sent",
    )


def _logs() -> Iterable[Setting]:
    setting = partial(Setting, group="Logs")
    yield setting(
        ["--log-level"],
        type=click.Choice(LEVELS, case_sensitive=False),
        metavar="|".join(LEVELS),
        help="the lowest level that is logged, to stderr",
        shown="info",
    )
    yield setting(
        ["--access-log"],
        type=click.Choice(ACCESS_LOGS),
        metavar="|".join(ACCESS_LOGS),
        help="a line on stdout for each request, and for each WebSocket when it ends",
        shown="combined",
    )
    yield setting(
        ["--log-config"],
        type=FILE,
        metavar="FILE",
        help="configure Python's logging from this file instead: .json or .toml (dictConfig), otherwise .ini",
    )


def _metrics() -> Iterable[Setting]:
    setting = partial(Setting, group="Metrics")
    yield setting(
        ["--metrics"],
        metavar="PATH",
        help="a path, such as /metrics, that is answered with metrics for Prometheus, to whoever asks; needs"
        " prometheus_client",
    )
    yield setting(
        ["--metrics-bind"],
        metavar="ADDRESS",
        help="an address of their own for them, such as 127.0.0.1:9100, where nothing else is served",
    )


def _life() -> Iterable[Setting]:
    stopping, development = partial(Setting, group="Stopping"), partial(Setting, group="Development")
    yield stopping(
        ["--health"],
        metavar="PATH",
        help='a path that is answered with 200 and {"status": "ok"}, or with 503 and "draining" before the'
        " server stops",
    )
    yield stopping(
        ["--drain-delay"],
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="how long the server goes on serving after SIGTERM, so that the load balancer notices the 503",
        shown="0 s",
    )
    yield development(
        ["--reload/--no-reload"],
        default=False,
        help="restart when a Python file changes; WebSockets are closed with 1012",
        shown="off",
    )
    yield development(
        ["--reload-dir", "reload_dirs"],
        type=DIRECTORY,
        multiple=True,
        metavar="DIRECTORY",
        help="where to watch for changes; may be given several times",
        shown="that of --app-dir",
    )
