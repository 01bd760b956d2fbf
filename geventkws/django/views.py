"""``accept``, for a view, and what is around the callbacks of its service."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connections
from django.http import HttpResponse, HttpResponseBadRequest

from geventkws.protocol.handshake import HandshakeError
from geventkws.server.acceptance import acceptor_of
from geventkws.service import WebSocketService
from geventkws.service_check import check_service
from geventkws.wrapper import ServiceWrapper, Wrapping

logger = logging.getLogger("geventkws.server")

_WRAPPER = "_geventkws_wrapper"


def accept(request: Any, service: WebSocketService, path_params: Mapping[str, Any] | None = None) -> Any:
    """Accept an upgrade request in a synchronous view, which returns the response that this returns.

    ``service`` gets the connection, whose ``path_params`` are those of the URL pattern unless others are
    given. Middleware, session and authentication have had their say; a view that does not want the
    connection returns another response. ``service.connecting`` runs within the request. Behind each other
    callback the database connections that it has opened are closed, as behind a request.

    A request that asks for no WebSocket is answered with 400, and with 501 where the server is another one,
    such as that of ``runserver``. Raises ``RuntimeError`` a second time, ``TypeError`` for a request of ASGI,
    and ``TypeError`` or ``ValueError`` for a service that cannot serve.
    """
    environ = getattr(request, "environ", None)
    if not isinstance(environ, dict):
        raise TypeError(f"accept() takes a request of WSGI, not {request!r}")
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
    """Return what stands for ``service``, and is made when it is first used."""
    known: ServiceWrapper | None = getattr(service, _WRAPPER, None)
    if known is None:
        known = Wrapping(check_service(service))(_call)
        setattr(service, _WRAPPER, known)
    return known


def _call(callback: Callable[..., object], *args: Any) -> object:
    try:
        return callback(*args)
    finally:
        # Whatever their CONN_MAX_AGE: they are the greenlet's, which may be gone before it is over.
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:  # of a test that calls the callback itself
                connection.close()
