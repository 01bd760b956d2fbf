"""The way from an upgrade request to a WebSocket connection."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

from geventkws.escape import escape
from geventkws.http.context import Upgradable
from geventkws.http.environ import EnvironBuilder
from geventkws.http.errors import ApplicationTimeoutError
from geventkws.http.head import RequestHead
from geventkws.http.taken import UpgradeInput
from geventkws.http.takeover import SOCKET
from geventkws.lazy import check_result
from geventkws.loop.loop import Loop
from geventkws.once import first_time
from geventkws.protocol.deflate import deflate_for
from geventkws.protocol.handshake import VERSION, Acceptance, check_origin, negotiate
from geventkws.protocol.origin import ANY_ORIGIN, MAX_CACHED
from geventkws.protocol.refusals import ForeignOriginError, HandshakeError, Refusal
from geventkws.registry import ServiceRegistry
from geventkws.request import Request, split_target
from geventkws.server.acceptance import ACCEPTOR, Acceptor
from geventkws.server.wsgi_websocket import VERSION_KEY, WEBSOCKET, WSGIWebSocket
from geventkws.service import WebSocketService, pull_style_run
from geventkws.websocket.connection import NO_PARAMETERS, WebSocketConnection
from geventkws.websocket.conversation import COMPRESSED_READ
from geventkws.websocket.delegate import Host
from geventkws.websocket.lifecycle import Lifecycle

logger = logging.getLogger("geventkws.server")


class UpgradeHost(Host, Protocol):
    """What an upgrade needs of the server."""

    application: Callable[..., Any] | None
    services: ServiceRegistry
    build_environ: Callable[[Request], dict[str, Any]]
    stopping: bool
    _lifecycle: Lifecycle

    def websocket_opened(self, connection: WebSocketConnection) -> None:
        """Watch the time limits of a new connection."""


def upgrade(host: UpgradeHost, http: Upgradable, head: RequestHead, read_ahead: bytes) -> bool:
    """Answer an upgrade request: the ``on_upgrade`` of ``HTTPContext``.

    ``read_ahead`` arrived after the head. Returns ``True`` if the transport has become a
    WebSocket, ``False`` if no service claims the path and the application may. Raises
    ``HandshakeError`` to refuse.
    """
    match = host.services.match(split_target(head.target)[0])
    if match is not None:
        service, path_params = match
        accept(host, http, head, read_ahead, service, path_params)
        return True
    if host.application is None or not host.options.application_upgrades:
        path = split_target(head.target)[0]
        raise _refusal(Refusal.PATH, 404, f"No service has been registered for the path {path}")
    check, take = partial(_negotiate, host, head), partial(accept, host, http, head, read_ahead)
    acceptor = Acceptor(http, check, take, host.options)
    takeover = http.offer(partial(_check_takeover, host, head), read_ahead)
    websocket = WSGIWebSocket(host, acceptor, takeover, http.remote_address)
    http.extra_environ = {
        **(http.extra_environ or {}),
        ACCEPTOR: acceptor,
        SOCKET: takeover.socket,
        "wsgi.input": UpgradeInput(takeover.socket),
        WEBSOCKET: websocket,
        VERSION_KEY: VERSION,
    }
    return False


def accept(
    host: UpgradeHost,
    http: Upgradable,
    head: RequestHead,
    read_ahead: bytes,
    service: WebSocketService,
    path_params: Mapping[str, Any],
) -> WebSocketConnection:
    """Complete the handshake, answer 101 and start the connection; raises ``HandshakeError`` to refuse."""
    acceptance = _negotiate(host, head, service)
    if acceptance.compression is not None and len(read_ahead) > COMPRESSED_READ:
        # RFC 6455, 4.1: "the client MUST wait for a response from the server before sending any
        # further data". It may inflate to more than is taken in one turn.
        text = "The client must wait for the answer to its upgrade request"
        raise _refusal(Refusal.REQUEST, 400, text)
    build_environ = host.build_environ
    extra = http.stream.channel.transport.environ()
    if http.proxied is not None:
        extra |= http.proxied
    if extra:
        build_environ = partial(_build_extended, build_environ, extra)
    request = Request.from_head(head, http.remote_address, build_environ)
    _ask(service, request)
    http.stream.set_deadline(host.options.body_timeout)
    http.stream.send_soon(_switching_protocols(acceptance))
    http.stream.drain()
    connection = WebSocketConnection(
        http.take(),
        lifecycle=host._lifecycle,
        service=service,
        request=request,
        pulls=pull_style_run(service) is not None,
        path_params=path_params or NO_PARAMETERS,
        subprotocol=acceptance.subprotocol,
        deflate=deflate_for(acceptance.compression),
        read_ahead=read_ahead,
    )
    host.websocket_opened(connection)
    return connection


def _check_takeover(host: UpgradeHost, head: RequestHead) -> None:
    """Raise ``HandshakeError`` if the application must not take the connection, which it would not ask."""
    _check_running(host)
    listed = host.options.upgrade_origins
    try:
        check_origin(head.headers, ANY_ORIGIN if listed == (ANY_ORIGIN,) else listed or None)
    except ForeignOriginError as error:
        _tell_foreign_origin(host, error, "The server", "upgrade_origins", listed)
        raise


def _check_running(host: UpgradeHost) -> None:
    if host.stopping:
        raise _refusal(Refusal.STOPPING, 503, "The server is shutting down")


def _negotiate(host: UpgradeHost, head: RequestHead, service: WebSocketService) -> Acceptance:
    _check_running(host)
    try:
        return negotiate(head.method, head.version, head.headers, service)
    except HandshakeError as error:
        if isinstance(error, ForeignOriginError):
            _tell_foreign_origin(
                service, error, type(service).__name__, "allowed_origins", service.allowed_origins
            )
        else:
            is_version = error.status == HTTPStatus.UPGRADE_REQUIRED
            error._refusal = Refusal.VERSION if is_version else Refusal.REQUEST
        raise
    except Exception as error:  # an attribute of the service was changed, or is a property that failed
        raise _failure(f"The handshake of {type(service).__name__}", head.target, error) from error


def _tell_foreign_origin(
    refuser: object, error: ForeignOriginError, name: str, setting: str, allowed: object
) -> None:
    """Log what was refused: it may be a page of the site itself, for example behind a proxy."""
    origin = error.origin[:MAX_CACHED]
    if first_time(refuser, ("origin", origin)):
        remedy = f"list its origin in {setting}"
        if error.by_host:
            remedy = f"let the proxy before the server pass Host on, or list the origin in {setting}"
        logger.warning(
            "%s refuses pages of the origin %r with 403: the request's Host is %r, and %s is %r."
            " If the page is yours, %s",
            *(name, origin, error.host[:MAX_CACHED], setting, allowed, remedy),
        )


def _ask(service: WebSocketService, request: Request) -> None:
    """Let the service refuse. Its mistakes let nobody in: whatever else it raises or returns is a 500."""
    connecting: Callable[[Request], object] = service.connecting
    try:
        answer = connecting(request)
        check_result(service, "connecting", answer)
        if answer is not None:
            raise TypeError(
                f"connecting returned {reprlib.repr(answer)}: return nothing to accept, or"
                " raise HandshakeError(status, message) to refuse"
            )
    except HandshakeError as error:
        error._refusal = Refusal.SERVICE
        raise
    except ApplicationTimeoutError as error:
        raise _refusal(Refusal.FAILURE, error.status, error.message) from error
    except BaseException as error:
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            Loop.current().report(error)
        raise _failure(f"{type(service).__name__}.connecting", request.path, error) from error


def _failure(what: str, where: str, error: BaseException) -> HandshakeError:
    """Log a mistake of a service, and return the refusal that answers it."""
    logger.error("%s failed for %s", what, escape(where), exc_info=error)
    return _refusal(Refusal.FAILURE, 500, "The service failed")


def _refusal(why: Refusal, status: int, message: str) -> HandshakeError:
    error = HandshakeError(status, message)
    error._refusal = why
    return error


def _switching_protocols(acceptance: Acceptance) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in acceptance.headers])
    return f"HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n".encode("latin-1")


def build_environ(builder: EnvironBuilder, request: Request) -> dict[str, Any]:
    """Return the WSGI environ of an upgrade request; ``wsgi.input`` is empty."""
    head = RequestHead(request.method, request.target, request.version, request.headers.pairs)
    return builder.build(head, request.remote_address)


def _build_extended(
    build_environ: Callable[[Request], dict[str, Any]], extra: dict[str, Any], request: Request
) -> dict[str, Any]:
    return build_environ(request) | extra
