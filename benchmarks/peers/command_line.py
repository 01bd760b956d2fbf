"""The command line of all servers, and what they have in common."""

from __future__ import annotations

import argparse
import importlib
import json
import ssl
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ADDRESS = "127.0.0.1"
MAX_MESSAGE_SIZE = 16 << 20
"""The largest message in bytes, for servers that have a limit."""

# The same limits for all, as far as a server has them: no server is spared a check that another one makes.
BACKLOG = 1024
"""Connections that may wait to be accepted."""
MAX_CONNECTIONS = 20_000
KEEPALIVE_TIMEOUT = 75
"""Seconds that an HTTP connection may wait idle for its next request."""
HEAD_TIMEOUT = 30
"""Seconds that a request head may take."""
PATIENCE = 600
"""Both of these with ``--patient``, so that no idle connection is ended while the memory is measured."""


class Options(argparse.Namespace):
    """Where to listen, and how to serve."""

    port: int
    certfile: str | None
    keyfile: str | None
    deflate: bool
    flask: bool
    patient: bool
    redis: str | None
    settings: bool

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context for these options, or None."""
        if self.certfile is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certfile, self.keyfile)
        return context

    @property
    def keepalive_timeout(self) -> int:
        """Seconds that an HTTP connection may wait idle for its next request."""
        return PATIENCE if self.patient else KEEPALIVE_TIMEOUT

    @property
    def head_timeout(self) -> int:
        """Seconds that a request head may take."""
        return PATIENCE if self.patient else HEAD_TIMEOUT

    @property
    def application(self) -> str:
        """The WSGI application, as ``module:name``."""
        return "benchmarks.peers.flask_app:app" if self.flask else "benchmarks.peers.http_app:application"

    def load_application(self) -> WSGIApplication:
        """Return the WSGI application."""
        module, _, name = self.application.partition(":")
        application: WSGIApplication = getattr(importlib.import_module(module), name)
        return application


def parse_options(settings: Callable[[Options], dict[str, Any]]) -> Options:
    """Read the command line of a server that is started with these settings.

    With ``--settings``, print them as JSON for a report, and end the program.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certfile", help="serve over TLS with this certificate")
    parser.add_argument("--keyfile")
    parser.add_argument("--deflate", action="store_true", help="accept permessage-deflate, where it is known")
    parser.add_argument("--flask", action="store_true", help="serve the Flask application instead of WSGI's")
    parser.add_argument(
        "--patient", action="store_true", help=f"let idle connections wait for {PATIENCE} s, head or none"
    )
    parser.add_argument("--redis", metavar="URL", help="serve the channel workloads too, over this Redis")
    parser.add_argument("--settings", action="store_true", help="print the settings as JSON and end")
    options = parser.parse_args(namespace=Options())
    if options.settings:
        print(json.dumps(settings(options), default=repr))
        sys.exit()
    if not options.port:
        parser.error("--port is missing")
    return options
