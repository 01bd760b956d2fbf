"""The health check: a path that tells load balancers whether to send requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from geventkws.http.context import Application
from geventkws.pubsub.tally import TALLY


class Health:
    """A WSGI application that answers one path, and leaves the others to another application."""

    def __init__(self, application: Application, path: str) -> None:
        self._application = application
        self._path = path
        self.draining = False
        """Whether the server is about to stop, and should get no more requests."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != self._path:
            return self._application(environ, start_response)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return []
        status, said = ("503 Service Unavailable", "draining") if self.draining else ("200 OK", "ok")
        state = {"status": said, **({"channels": "deaf"} if TALLY.deaf else {})}
        body = json.dumps(state).encode() + b"\n"
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
