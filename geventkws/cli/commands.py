"""The commands and their help."""

from __future__ import annotations

import os
from typing import Any

import click
from click.core import ParameterSource

from geventkws.cli import connect, reload, serving
from geventkws.cli.errors import USAGE, Failure, import_extra, tell, translated
from geventkws.cli.help import PREFIX, WIDTH, GroupedCommand
from geventkws.cli.serve_settings import FILE_NAME, serve_settings
from geventkws.cli.types import reference
from geventkws.options import ABOUT
from geventkws.reloading import is_child
from geventkws.version import __version__

INTERRUPTED = 130
"""The exit status after Ctrl-C."""

CONTEXT = {"max_content_width": WIDTH, "terminal_width": WIDTH, "help_option_names": ["-h", "--help"]}

SERVE_HELP = """Serve APP, a WSGI application such as app:app or app:create_app(), and WebSocket services.

APP may be omitted if there are services. Every option can also be given in the environment, as GEVENTKWS_
with its name in capitals (GEVENTKWS_MAX_REQUESTS=100; several values are separated by spaces), and in a file,
by its name (max-requests = 100). The command line takes precedence over the environment, and the environment
over the file. A value of "none" means no limit, or nothing.
"""

SERVE_EPILOG = """SIGTERM and Ctrl-C stop the server gracefully; a second signal stops it at once. On SIGHUP,
the server reads its certificates again and reopens its log files; with --workers, new processes take over.

Exit status: 0 stopped; 1 the application or a service failed; 2 an option or the name of an object is
wrong; 3 cannot listen on an address; 4 a certificate or key cannot be used; 128 or more, ended by a second
signal.
"""


def run() -> int:
    """Run the command line and return its exit status. Mistakes are reported in one line."""
    try:
        # The environment before --env-file adds to it.
        return int(commands.main(prog_name="geventkws", standalone_mode=False, obj=dict(os.environ)) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        tell(translated(error))
        return error.status if isinstance(error, Failure) else error.exit_code


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(__version__, message="geventkws %(version)s")
@click.pass_context
def commands(ctx: click.Context) -> None:
    """WebSocket services beside a WSGI application, on one port."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@click.pass_context
def _serve(ctx: click.Context, /, **values: Any) -> int:
    plan = _plan(ctx, values)
    if values["workers"] is not None:
        return _serve_with_workers(plan, values)
    if values["pidfile"] is not None:
        raise Failure(USAGE, "--pidfile needs --workers: a single process need not be looked for")
    if values["reload"] and not is_child():
        return reload.serve_and_watch(plan, values["reload_dirs"] or (values["app_dir"],), ctx.obj)
    if values["reload"]:
        reload.serve_as_child(plan)
    else:
        serving.serve(plan)
    return 0


def _serve_with_workers(plan: serving.Plan, values: dict[str, Any]) -> int:
    if values["reload"]:
        raise Failure(USAGE, "--reload is for one process: leave --workers out")
    import_extra("gunicorn", "gunicorn", "--workers", extra="gunicorn")
    from geventkws.cli.workers import serve_with_workers

    return serve_with_workers(plan, values["workers"], values["pidfile"])


def _plan(ctx: click.Context, values: dict[str, Any]) -> serving.Plan:
    if values["certfile"] is None and (values["keyfile"] or values["certificates"]):
        raise Failure(
            USAGE, "--keyfile and --certificate need --certfile, the certificate of all other names"
        )
    for name in ("health", "metrics"):
        path = values[name]
        if path is not None and not path.startswith("/"):
            raise Failure(USAGE, f"--{name} must begin with a slash: write '/{path}'")
    options = {
        name: values[name]
        for name in (*ABOUT, "backlog")
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    return serving.Plan(
        application=values["app"],
        services=values["services"],
        binds=values["binds"],
        app_dir=values["app_dir"],
        certfile=values["certfile"],
        keyfile=values["keyfile"],
        certificates=dict(values["certificates"]),
        metrics=values["metrics"],
        metrics_bind=values["metrics_bind"],
        health=values["health"],
        drain_delay=values["drain_delay"],
        log_level=values["log_level"],
        log_config=values["log_config"],
        access_log=values["access_log"],
        options=options,
    )


serve = GroupedCommand(
    "serve",
    callback=_serve,
    params=[
        click.Argument(["app"], type=reference, required=False, envvar=f"{PREFIX}APP", metavar="APP"),
        *serve_settings(),
    ],
    help=SERVE_HELP,
    epilog=SERVE_EPILOG,
    short_help="Serve an application and services.",
)
commands.add_command(serve)

CONNECT_EPILOG = """Exit status: 0 closed by this side, or with 1000, 1001 or 1005; 1 closed with another
code, or lost; 2 an option is wrong; 3 cannot connect; 4 the server's certificate is not trusted.
"""


@commands.command(name="connect", short_help="Talk to a WebSocket.", epilog=CONNECT_EPILOG)
@click.argument("url")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:VALUE",
    help="a header field to send; may be given several times",
)
@click.option(
    "--subprotocol",
    "subprotocols",
    multiple=True,
    metavar="NAME",
    help="a subprotocol to offer; may be given several times",
)
@click.option("--origin", metavar="ORIGIN", help="the Origin to send, as a page of that site would")
@click.option("--cacert", type=FILE_NAME, metavar="FILE", help="the certificates of the authorities to trust")
@click.option("--insecure", is_flag=True, help="trust any certificate")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    metavar="SECONDS",
    help="how long to wait for the connection [10 s]",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="how long to wait for answers after the last line of a pipe or file [until the server closes]",
)
def _connect(wait: float | None, **values: Any) -> int:
    """Connect to URL, ws:// or wss://: send each line of stdin, and print each message that arrives.

    Writes to stderr how the connection ended. Binary messages are shown in hexadecimal.
    """
    return connect.connect(connect.Target(**values), wait)
