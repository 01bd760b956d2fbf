"""Where Prometheus finds the metrics: a WSGI application, and a path of another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gevent import get_hub
from prometheus_client import CollectorRegistry, make_wsgi_app

from geventkws.http.context import Application


class Page:
    """A WSGI application that answers with all metrics of a registry, in the format that is asked for."""

    def __init__(self, registry: CollectorRegistry, prepare: Callable[[], object] | None) -> None:
        """Call ``prepare``, if there is one, before each answer.

        If there is one, the metrics are those of many processes, whose files take long to read: a thread
        reads them.
        """
        self._page = make_wsgi_app(registry)
        self._prepare = prepare

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            environ = {**environ, "REQUEST_METHOD": "GET"}  # the server leaves the body out
        if self._prepare is None:
            start, body = self._render(environ)
        else:
            self._prepare()
            start, body = get_hub().threadpool.apply(self._render, (environ,))
        status, headers = start
        start_response(status, [*headers, ("Cache-Control", "no-store")])
        return body

    def _render(self, environ: dict[str, Any]) -> tuple[tuple[Any, ...], Iterable[bytes]]:
        started: list[tuple[Any, ...]] = []
        body = self._page(environ, lambda *start: started.append(start))
        return started[0], body


class AtPath:
    """A WSGI application that answers one path, and leaves the others to another application."""

    def __init__(self, path: str, page: Page, application: Application) -> None:
        self._path = path
        self._page = page
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == self._path:
            return self._page(environ, start_response)
        return self._application(environ, start_response)


def check_path(path: str | None) -> str | None:
    """Return the path; raise ``TypeError`` or ``ValueError`` if it is not one."""
    if path is None:
        return None
    if not isinstance(path, str):
        raise TypeError(f"the path of the metrics must be a str such as '/metrics', not {path!r}")
    if not path.startswith("/") or "?" in path or "#" in path:
        raise ValueError(f"the path of the metrics must be like '/metrics', not {path!r}")
    return path
