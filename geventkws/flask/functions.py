"""Views that call a function for each connection, within its request.

The function runs in the greenlet of the request. The handshake is answered when the function first uses the
connection. The connection belongs to a service in the pull style, whose ``run`` waits until the function
returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import gevent
from gevent.event import AsyncResult, Event
from werkzeug.local import LocalProxy

from geventkws.flask.services import View, acceptor_here, log, the_app
from geventkws.once import remember_together
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.handshake import HandshakeError
from geventkws.server.acceptance import Acceptor, UpgradeAnswer
from geventkws.service import WebSocketService
from geventkws.service_check import check_service
from geventkws.websocket.closed import ConnectionClosed
from geventkws.websocket.connection import WebSocketConnection


def function_view(function: Callable[..., Any], attributes: Mapping[str, Any]) -> View:
    """Return a view that calls ``function`` with a connection and the values of the rule.

    Raises ``TypeError`` or ``ValueError`` for attributes that no service can have.
    """
    # In the log, the service has the function's name.
    kind: type[FunctionCall] = type(function.__name__, (FunctionCall,), dict(attributes))
    check_service(kind.__new__(kind))
    route = SimpleNamespace()

    @functools.wraps(function)
    def view(**path_params: Any) -> Any:
        acceptor = acceptor_here()
        call = kind(acceptor, path_params)
        remember_together(route, call)
        try:
            acceptor.check(call)
        except HandshakeError as refusal:
            return acceptor.refuse(refusal)
        return call.answer(function)

    return view


class FunctionCall(WebSocketService):
    """One call of a function, and the service that its connection belongs to."""

    def __init__(self, acceptor: Acceptor, path_params: Mapping[str, Any]) -> None:
        self._acceptor = acceptor
        self._path_params = path_params
        self._app = the_app()
        self._asked = False
        self._answer: UpgradeAnswer | None = None
        self._connection: Any = AsyncResult()
        self._returned = Event()
        self._error: BaseException | None = None

    def answer(self, function: Callable[..., Any]) -> Any:
        """Call the function and return the view's response."""
        try:
            returned = function(LocalProxy(self._connect), **self._path_params)
            if not self._asked:
                if returned is not None:
                    return returned  # by a decorator that did not call the function
                self._connect()
        except (Exception, gevent.Timeout) as error:
            if not self._asked:
                if isinstance(error, HandshakeError):
                    return self._acceptor.refuse(error)
                raise
            if not isinstance(error, ConnectionClosed):
                self._error = error  # if the handshake was refused, nobody needs to know
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._returned.set()
        return self._answer

    def _connect(self) -> WebSocketConnection:
        """Return the connection; the first call completes the handshake, or raises if it is refused."""
        if not self._asked:
            self._asked = True
            self._answer = self._acceptor.answer(self, self._path_params)
            if self._answer.refusal is not None:
                self._connection.set_exception(self._answer.refusal)
            elif self._answer.too_late:
                self._connection.set_exception(ConnectionClosed(WebSocketCloseReasonCode.CLOSED_ABNORMALLY))
        connection: WebSocketConnection = self._connection.get()
        return connection

    def run(self, connection: WebSocketConnection) -> None:
        """Lend the connection to the function until it returns."""
        self._connection.set(connection)
        self._returned.wait()
        if self._error is not None:
            raise self._error

    def _log_failure(self, connection: WebSocketConnection, error: BaseException) -> None:
        log(self._app, connection, error)
