"""A service whose callbacks are called by a framework, which surrounds each call with code of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geventkws.once import remember_together
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.refusals import HandshakeError
from geventkws.request import Request
from geventkws.server.acceptance import ApplicationError
from geventkws.service import WebSocketService, pull_style_run
from geventkws.service_check import ATTRIBUTES
from geventkws.websocket.connection import WebSocketConnection

Call = Callable[..., object]
"""Calls its first argument with the others, and returns the result."""

LogFailure = Callable[[WebSocketConnection, BaseException], None]


class ServiceWrapper(WebSocketService):
    """What both styles have in common. All attributes except the callbacks are those of the service.

    ``connecting`` is called directly: it runs within the request, which the framework surrounds anyway.
    """

    def __init__(self, service: WebSocketService, call: Call, log_failure: LogFailure | None) -> None:
        self._service = service
        self._call = call
        self._log = log_failure or service._log_failure
        for name in ATTRIBUTES:
            setattr(self, name, getattr(service, name))
        remember_together(service, self)

    # Results of callbacks are passed on: a coroutine, for example, is a mistake that must be reported.

    def connecting(self, request: Request) -> Any:
        """Ask the service. What it raises except ``HandshakeError`` is for the framework's error handlers."""
        try:
            return self._service.connecting(request)
        except HandshakeError:
            raise
        except Exception as error:
            raise ApplicationError(error) from error

    def connected(self, connection: WebSocketConnection) -> Any:
        return self._call(self._service.connected, connection)

    def disconnected(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> Any:
        return self._call(self._service.disconnected, connection, reason)

    def _good_bye(self, reason: WebSocketCloseReasonCode, description: str) -> tuple[int, str]:
        return self._service._good_bye(reason, description)

    def _log_failure(self, connection: WebSocketConnection, error: BaseException) -> None:
        self._log(connection, error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def __repr__(self) -> str:
        return repr(self._service)


class _PushWrapper(ServiceWrapper):
    def received(self, message: str | bytes, connection: WebSocketConnection) -> Any:
        return self._call(self._service.received, message, connection)


class _PullWrapper(ServiceWrapper):
    def run(self, connection: WebSocketConnection) -> Any:
        """Let the service take the messages."""
        return self._call(pull_style_run(self._service), connection)


class Wrapping:
    """Makes wrappers of one service, which appear in the log under the name of its class."""

    def __init__(self, service: WebSocketService) -> None:
        self._service = service
        style = _PushWrapper if pull_style_run(service) is None else _PullWrapper
        self._kind: type[ServiceWrapper] = type(type(service).__name__, (style,), {})

    def __call__(self, call: Call, log_failure: LogFailure | None = None) -> ServiceWrapper:
        """Return a service with the callbacks of the wrapped one, called by ``call(callback, *arguments)``.

        ``log_failure`` logs exceptions raised by callbacks; by default they are logged as without a wrapper.
        """
        return self._kind(self._service, call, log_failure)
