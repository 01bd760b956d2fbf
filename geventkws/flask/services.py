"""Views that accept a connection for a service, whose callbacks then run within Flask's contexts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, abort, copy_current_request_context, current_app, got_request_exception, request

from geventkws.escape import escape
from geventkws.protocol.refusals import HandshakeError
from geventkws.server.acceptance import Acceptor, acceptor_of
from geventkws.service import WebSocketService
from geventkws.websocket.connection import WebSocketConnection
from geventkws.wrapper import ServiceWrapper, Wrapping

View = Callable[..., Any]
"""A Flask view function."""


def service_view(name: str, service: WebSocketService, request_context: bool) -> View:
    """Return a view that opens connections of ``service``."""
    wrapping = Wrapping(service)

    def view(**path_params: Any) -> Any:
        app = the_app()
        # By application: a service may belong to several.
        wrappers: dict[Wrapping, ServiceWrapper] = app.extensions.setdefault("geventkws", {})
        wrapper = wrappers.get(wrapping)
        if request_context:
            wrapper = wrapping(copy_current_request_context(_call), partial(log, app))
        elif wrapper is None:
            wrapper = wrappers[wrapping] = wrapping(partial(_call_in, app), partial(log, app))
        return acceptor_here().answer(wrapper, path_params)

    view.__name__ = view.__qualname__ = name
    view.__doc__ = type(service).__doc__
    return view


def _call(callback: Callable[..., object], *args: Any) -> object:
    return callback(*args)


def _call_in(app: Flask, callback: Callable[..., object], *args: Any) -> object:
    with app.app_context():
        return callback(*args)


def the_app() -> Flask:
    """Return the current application itself, which outlives the request."""
    proxy: Any = current_app
    app: Flask = proxy._get_current_object()
    return app


def acceptor_here() -> Acceptor:
    """Return what accepts the current request; abort it if this server cannot open WebSockets."""
    try:
        return acceptor_of(request.environ)
    except HandshakeError as error:
        abort(400, error.message)
    except RuntimeError as error:
        text = f"{error}, or run it with: flask serve"
        current_app.logger.error("%s", text)
        abort(501, text)


def log(app: Flask, connection: WebSocketConnection, error: BaseException) -> None:
    """Log an exception raised by a callback, and send Flask's signal."""
    with app.app_context():
        got_request_exception.send(app, exception=error)
        app.logger.error("Exception on the WebSocket %s", escape(connection.request.path), exc_info=error)
