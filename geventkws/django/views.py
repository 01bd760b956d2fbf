"""``accept``, for a view, and what surrounds the callbacks of its service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections
from django.http import HttpResponse, HttpResponseBadRequest

from geventkws.protocol.refusals import HandshakeError
from geventkws.server.acceptance import acceptor_of
from geventkws.service import WebSocketService
from geventkws.service_check import check_service
from geventkws.wrapper import ServiceWrapper, Wrapping

logger = logging.getLogger("geventkws.server")

_WRAPPER = "_geventkws_wrapper"


def accept(request: Any, service: WebSocketService, path_params: Mapping[str, Any] | None = None) -> Any:
    """Accept an upgrade request in a synchronous view, which must return the result as its response.

    ``service`` gets the connection, whose ``path_params`` are those of the URL pattern unless others are
    given. Middleware, session and authentication have already run; a view that does not want the connection
    returns another response. ``service.connecting`` runs within the request. After each other callback, the
    database connections that it opened are closed, as after a request.

    A request that does not ask for a WebSocket gets a 400. On a server that cannot open WebSockets, such as
    that of ``runserver``, the request gets a 501. Raises ``RuntimeError`` when called a second time,
    ``TypeError`` for an ASGI request, and ``TypeError`` or ``ValueError`` for a service that cannot work.
    """
    environ = getattr(request, "environ", None)
    if not isinstance(environ, dict):
        raise TypeError(f"accept() takes a WSGI request, not {request!r}")
    wrapper = _wrapper(service)
    if path_params is None and request.resolver_match is not None:
        path_params = request.resolver_match.kwargs
    try:
        answer = acceptor_of(environ).answer(wrapper, path_params)
    except HandshakeError as error:
        return HttpResponseBadRequest(error.message, content_type="text/plain")
    except RuntimeError as error:
        if "geventkws.upgrade" in environ:
            raise
        text = f'{error}, or, with "geventkws.django" in INSTALLED_APPS, run: manage.py serve'
        logger.error("%s", text)
        return HttpResponse(text, status=501, content_type="text/plain")
    return HttpResponse(status=answer.status)


def _wrapper(service: WebSocketService) -> ServiceWrapper:
    """Return the wrapper of ``service``, which is made when it is first used."""
    known: ServiceWrapper | None = getattr(service, _WRAPPER, None)
    if known is None:
        known = Wrapping(check_service(service))(_call)
        setattr(service, _WRAPPER, known)
    return known


def _call(callback: Callable[..., object], *args: Any) -> object:
    try:
        return callback(*args)
    finally:
        # Whatever their CONN_MAX_AGE: they belong to the greenlet, which may not live that long.
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:  # as in a test that calls the callback itself
                connection.close()
