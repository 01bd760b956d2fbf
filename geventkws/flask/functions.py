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
from geventkws.protocol.refusals import HandshakeError
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
    kind: type[FunctionService] = type(function.__name__, (FunctionService,), dict(attributes))
    check_service(kind.__new__(kind))
    route = SimpleNamespace()

    @functools.wraps(function)
    def view(**path_params: Any) -> Any:
        acceptor = acceptor_here()
        service = kind()
        remember_together(route, service)
        try:
            acceptor.check(service)
        except HandshakeError as refusal:
            return acceptor.refuse(refusal)
        return FunctionCall(acceptor, service, path_params).answer(function)

    return view


class Loan:
    """A connection that is lent to a function until it returns."""

    def __init__(self) -> None:
        self.connection: Any = AsyncResult()
        """``None`` if there will be none."""
        self.returned = Event()
        self.error: BaseException | None = None
        """What the function has raised, for the service to raise."""


class FunctionService(WebSocketService):
    """What the connection of a function's call belongs to."""

    def __init__(self) -> None:
        self.loan = Loan()
        self._app = the_app()

    def run(self, connection: WebSocketConnection) -> None:
        """Lend the connection to the function until it returns."""
        loan = self.loan
        loan.connection.set(connection)
        try:
            loan.returned.wait()
            if loan.error is not None:
                raise loan.error
        finally:
            # The connection leads here, and an error to where it was raised: either would be a cycle.
            loan.error = None
            del self.loan

    def _log_failure(self, connection: WebSocketConnection, error: BaseException) -> None:
        log(self._app, connection, error)


class FunctionCall:
    """One call of a function."""

    def __init__(self, acceptor: Acceptor, service: FunctionService, path_params: Mapping[str, Any]) -> None:
        self._acceptor = acceptor
        self._service = service
        self._path_params = path_params
        self._loan = service.loan
        self._asked = False
        self._answer: UpgradeAnswer | None = None

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
                self._keep(error)
        except BaseException as error:
            self._keep(error)
            raise
        finally:
            self._loan.returned.set()
        return self._answer

    def _keep(self, error: BaseException) -> None:
        """Let the service raise an error, unless there will be no connection: then nobody needs to know."""
        # The handshake may be complete though the service does not have its connection yet.
        if self._asked and not (self._loan.connection.ready() and self._loan.connection.get() is None):
            self._loan.error = error

    def _connect(self) -> WebSocketConnection:
        """Return the connection; the first call completes the handshake, or raises if it is refused."""
        if not self._asked:
            self._asked = True
            self._answer = self._acceptor.answer(self._service, self._path_params)
            if self._answer.refusal is not None or self._answer.too_late:
                self._loan.connection.set(None)
        connection: WebSocketConnection | None = self._loan.connection.get()
        if connection is not None:
            return connection
        if self._answer is not None and self._answer.refusal is not None:
            raise self._answer.refusal
        raise ConnectionClosed(WebSocketCloseReasonCode.CLOSED_ABNORMALLY)
