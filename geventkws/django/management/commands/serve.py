"""``manage.py serve``: serves the project with its WebSockets; ``runserver`` serves only HTTP."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import get_internal_wsgi_application

from geventkws import reloading
from geventkws.patched import run_patched
from geventkws.server.server import WebSocketServer
from geventkws.server.start_up import LOG_FORMAT


class Command(BaseCommand):
    """The command ``serve``."""

    help = "Serves the project and its WebSockets with geventkws, until SIGINT (Ctrl-C) or SIGTERM."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)"
        )
        parser.add_argument("--port", type=int, default=8000, help="0 picks a free one (default: 8000)")
        parser.add_argument("--cert", dest="certfile", help="the file with the certificate, for https")
        parser.add_argument("--key", dest="keyfile", help="the file with its key")
        parser.add_argument(
            "--reload", action="store_true", help="restart when a Python file of the project changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restart with the standard library patched for gevent, then serve."""
        if options["reload"] and not reloading.is_child():
            sys.exit(self._hold((options["host"], options["port"])))
        run_patched(sys.argv[0])
        logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
        tls = {"certfile": options["certfile"], "keyfile": options["keyfile"]}
        if options["reload"]:
            reloading.serve_as_child(_application(), **tls)
        else:
            WebSocketServer((options["host"], options["port"]), _application(), **tls).serve_forever()

    def _hold(self, address: tuple[str, int]) -> int:
        """Hold the listening socket for the processes that serve, one after another."""
        try:
            return reloading.hold(address, _directory(), self._say)
        except ModuleNotFoundError as error:
            raise CommandError(f"--reload needs {error.name}: pip install {error.name}") from None

    def _say(self, text: str) -> None:
        self.stderr.write(self.style.NOTICE(text))


def _directory() -> str:
    """Return the directory of the project, whose files are watched: that of ``manage.py``."""
    return os.path.dirname(os.path.abspath(sys.argv[0]))


def _application() -> Any:
    """Return the project's WSGI application; with ``DEBUG``, also with its static files."""
    application = get_internal_wsgi_application()
    if settings.DEBUG and apps.is_installed("django.contrib.staticfiles"):
        from django.contrib.staticfiles.handlers import StaticFilesHandler

        return StaticFilesHandler(application)
    return application
