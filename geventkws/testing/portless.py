"""``connect``: reaches a service under test over a socket pair, through the whole server, without a port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Unpack

import gevent
from gevent import get_hub
from gevent import socket as gevent_socket
from gevent.event import AsyncResult
from gevent.server import StreamServer

from geventkws.http.context import Application
from geventkws.net.listeners import native_socket
from geventkws.net.transport import PlainTransport
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.registry import ServiceRegistry
from geventkws.server.server import WebSocketServer
from geventkws.server.start_up import ServerKeywords
from geventkws.service import WebSocketService
from geventkws.testing.client import PATIENCE, Client
from geventkws.websocket.connection import WebSocketConnection

ADDRESS = ("127.0.0.1", 0)
"""What the server sees as the client's address."""

STOP_TIMEOUT = 1.0
"""Seconds that a service has for its last callbacks after its client has gone."""


class PortlessServer(WebSocketServer):
    """A server that nobody can connect to, and that serves one end of a socket pair."""

    def __init__(
        self, application: Application | None, services: ServiceRegistry, **options: Unpack[ServerKeywords]
    ) -> None:
        # Instead of a listener, a socket on which nothing ever happens.
        listener, self._silence = (native_socket(fileno=end.detach()) for end in gevent_socket.socketpair())
        try:
            super().__init__(listener, application, services, **options)
        except BaseException:
            listener.close()
            self._silence.close()
            raise
        # gevent's declaration of ``get`` has it return ``None``, too, which these never do.
        self.opened: Any = AsyncResult()
        self.told: Any = AsyncResult()

    def set_listener(self, listener: Any) -> None:
        """Take the silent socket without the checks of ``WebSocketServer``, because it does not listen."""
        StreamServer.set_listener(self, listener)

    def _announce(self) -> None:
        """Log nothing, because it does not listen."""

    def do_read(self) -> Any:
        """Accept nobody: it does not listen, so nobody waits to be taken in when it stops."""

    def pair(self) -> gevent_socket.socket:
        """Serve one end of a new socket pair; return the other."""
        ours, theirs = gevent_socket.socketpair()
        get_hub().loop.run_callback(self.handle, PlainTransport(theirs.detach()), ADDRESS)
        return ours

    def websocket_opened(self, connection: WebSocketConnection) -> None:
        super().websocket_opened(connection)
        self.opened.set(connection)

    def websocket_closed(self, connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
        super().websocket_closed(connection, reason)
        self.told.set(reason)

    def close(self) -> None:
        super().close()
        self._silence.close()


class ServiceClient(Client):
    """A client of a service under test, with access to the service's side of the connection."""

    connection: WebSocketConnection
    """The connection that the service got, with its ``request``, ``path_params`` and ``context``."""

    def __init__(self, server: PortlessServer, path: str, **options: Any) -> None:
        self._server = server
        super().__init__(server.pair(), f"ws://localhost{path}", **options)
        self.connection = server.opened.get()

    @property
    def reason(self) -> WebSocketCloseReasonCode:
        """The reason passed to the service's ``disconnected``; waits for it up to the client's time limit."""
        with gevent.Timeout(self.timeout, TimeoutError("disconnected has not been called, or not returned")):
            reason: WebSocketCloseReasonCode = self._server.told.get()
            return reason

    def settle(self, timeout: float | None = None) -> None:
        """Wait until the service has handled everything that was sent.

        Raises ``TimeoutError`` after ``timeout`` seconds, by default the client's own time limit.
        """
        seconds = self.timeout if timeout is None else timeout
        end = monotonic() + seconds
        while not self._is_settled():
            if monotonic() >= end:
                raise TimeoutError(f"the service has not handled everything that was sent after {seconds} s")
            gevent.sleep(0.001)

    def _is_settled(self) -> bool:
        connection = self.connection
        if not connection.active:
            return True
        is_at_work = connection._working and connection._receiver is None
        all_here = connection.traffic.messages_received >= self._sent
        return connection._greeted and all_here and not connection._has_messages() and not is_at_work

    def close(self, reason: int = WebSocketCloseReasonCode.NORMAL, description: str = "") -> None:
        """Close with this code, and wait until ``disconnected`` has returned. Idempotent."""
        super().close(reason, description)
        self._server.stop(timeout=STOP_TIMEOUT)

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    service: WebSocketService | ServiceRegistry | Application,
    path: str = "/",
    *,
    on_path: str | None = None,
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
    subprotocols: Iterable[str] = (),
    timeout: float = PATIENCE,
    **options: Unpack[ServerKeywords],
) -> ServiceClient:
    """Connect to a service over a socket pair: the whole server runs, but without a port.

    ``service`` is a service, which is registered ``on_path`` (by default on ``path``), a registry, or a WSGI
    application that accepts upgrades. ``path`` is what the client asks for, if need be with a query;
    ``headers`` and ``origin`` are part of its request. Without an origin, the client is not a browser; the
    server's own origin is ``http://localhost``. ``timeout`` is the most that the client waits for anything,
    in seconds; ``options`` are those of ``WebSocketServer``.

    Returns a client, which is a context manager and must be closed. Raises ``ConnectionRefused``, with the
    status, if the client is not let in.
    """
    registry, application = ServiceRegistry(), None
    if isinstance(service, WebSocketService):
        registry.register(service, path.partition("?")[0] if on_path is None else on_path)
    elif isinstance(service, ServiceRegistry):
        registry = service
    else:
        application = service
    server = PortlessServer(application, registry, **options)
    server.start()
    try:
        return ServiceClient(
            server, path, headers=headers, origin=origin, subprotocols=subprotocols, timeout=timeout
        )
    except BaseException:
        server.stop(timeout=STOP_TIMEOUT)
        raise
