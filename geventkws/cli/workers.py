"""``--workers``: gunicorn starts and replaces the processes, and each of them serves the plan."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

from geventkws.cli import logs, serving
from geventkws.cli.errors import BROKEN, USAGE, Failure, tell
from geventkws.cli.serving import Plan
from geventkws.gunicorn.settings import LAST_SECONDS, do_without_control_socket
from geventkws.gunicorn.worker import Worker
from geventkws.http.context import Application, no_application
from geventkws.net.listeners import SYSTEMD
from geventkws.options import DEFAULTS
from geventkws.protocol.close_codes import WebSocketCloseReasonCode

METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

LOG_FORMAT = "%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s"
"""The format of the log, with the process that each line is from."""

INHERITED = "GUNICORN_FD"
"""The variable by which gunicorn passes its sockets on, when it executes itself anew (SIGUSR2)."""

_STATUSES = {Arbiter.APP_LOAD_ERROR: BROKEN, Arbiter.WORKER_BOOT_ERROR: USAGE}
"""Our exit status for that of a worker that could not begin, after which gunicorn ends."""


def serve_with_workers(plan: Plan, workers: int, pidfile: str | None) -> int:
    """Let gunicorn serve the plan in so many processes, until a signal arrives; return the exit status."""
    logs.configure(plan.log_level, plan.log_config, plan.access_log, LOG_FORMAT)
    settings = {
        "bind": _bind(plan),
        "workers": workers,
        "worker_class": PlanWorker,
        "graceful_timeout": ceil(_stop_timeout(plan) + plan.drain_delay + LAST_SECONDS),
        "pidfile": pidfile,
        "logger_class": Log,
        "proc_name": "geventkws",
    }
    if plan.certfile is not None:
        settings["certfile"] = plan.certfile  # so that gunicorn's log says https
    with _metrics_directory(plan, settings):
        return _run(PlanApplication(plan, settings))


def _is_activated(plan: Plan) -> bool:
    return any(each.partition(":")[0] == SYSTEMD for each in plan.binds)


def _run(application: PlanApplication) -> int:
    """Be gunicorn's main process. The workers come here too, and leave by an exception."""
    master = os.getpid()
    try:
        arbiter = Arbiter(application)
        # What it executes on SIGUSR2; by default, that would not be what was called by `python -m`.
        arbiter.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
        arbiter.systemd = _is_activated(application.plan)  # whose socket files stay
        arbiter.run()
    except RuntimeError as error:
        raise Failure(USAGE, str(error)) from None
    except HaltServer as end:  # a second worker that could not begin, while gunicorn ends for the first
        status = int(end.exit_status)
    except SystemExit as end:
        if os.getpid() != master:
            raise
        status = end.code if isinstance(end.code, int) else 0
    else:
        status = 0
    return _STATUSES.get(status, status)


def _stop_timeout(plan: Plan) -> float:
    timeout: float = plan.options.get("stop_timeout", DEFAULTS.stop_timeout)
    return timeout


def _bind(plan: Plan) -> list[str]:
    """Listen on the addresses, unless gunicorn has the sockets already; return what it is to be told."""
    if INHERITED in os.environ:
        serving.check(plan)
        return ["127.0.0.1:0"]  # nobody asks
    addresses = plan.binds if plan.metrics_bind is None else (*plan.binds, plan.metrics_bind)
    descriptors = serving.listen(replace(plan, binds=addresses))
    os.environ.pop("LISTEN_PID", None)  # gunicorn would take the sockets of systemd a second time
    return [f"fd://{descriptor}" for descriptor in descriptors]


@contextmanager
def _metrics_directory(plan: Plan, settings: dict[str, Any]) -> Iterator[None]:
    """Let the processes write their metrics into a directory, if there are to be metrics."""
    if plan.metrics is None and plan.metrics_bind is None:
        yield
        return
    master, directory = os.getpid(), None
    if METRICS_DIRECTORY not in os.environ:
        directory = os.environ[METRICS_DIRECTORY] = tempfile.mkdtemp(prefix="geventkws-metrics-")
    try:
        # Only now, since it looks at the variable when it is imported.
        serving.import_for_metrics(plan)
        # Not when a process has ended: gunicorn 23 calls it in a signal handler, in the middle of an import.
        from geventkws.metrics.multiprocess import forget_process

        settings["child_exit"] = lambda arbiter, worker: forget_process(worker.pid)
        yield
    finally:
        if directory is not None and os.getpid() == master:
            shutil.rmtree(directory, ignore_errors=True)


class Log(Logger):
    """What gunicorn has to say goes where everything else goes."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        self.error_log.setLevel(logging.NOTSET)


class PlanApplication(BaseApplication):
    """What gunicorn knows of the plan."""

    def __init__(self, plan: Plan, settings: dict[str, Any]) -> None:
        self.plan = plan
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set what follows from the plan, and what ``GUNICORN_CMD_ARGS`` says (called by gunicorn)."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)
        given = self.cfg.parser().parse_args(self.cfg.get_cmd_args_from_env())
        for name, value in vars(given).items():
            if value is not None and name != "args":
                self.cfg.set(name, value)

    def load(self) -> Application:
        """Return the application (called by gunicorn, in each worker or before)."""
        with exit_with_status():
            return serving.load(self.plan) or no_application


@contextmanager
def exit_with_status() -> Iterator[None]:
    """Report a failure in the block, and end the process with a status that ends gunicorn, too."""
    try:
        yield
    except Failure as error:
        tell(error)
        broken = error.status == BROKEN
        raise SystemExit(Arbiter.APP_LOAD_ERROR if broken else Arbiter.WORKER_BOOT_ERROR) from None


class PlanWorker(Worker):
    """A process that serves the plan."""

    app: PlanApplication

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Check nothing: the plan has been checked (called by gunicorn)."""
        do_without_control_socket(cfg)

    def set_up_logs(self) -> None:
        """Leave the logs as they are: they were set up before the fork."""

    def begin(self) -> None:
        """Start the servers of the plan."""
        plan, listeners = self.app.plan, self.take_listeners()
        beside = [] if plan.metrics_bind is None else [listeners.pop()]
        with exit_with_status():
            self._site = serving.make_site(plan, self.wsgi, listeners, beside, self.make_server)
            self._site.start()

    def finish(self, reason: WebSocketCloseReasonCode | None) -> None:
        """Stop them."""
        if reason is None:
            self._site.stop()
        else:
            self._site.restart(_stop_timeout(self.app.plan))
