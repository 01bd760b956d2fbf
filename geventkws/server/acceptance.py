"""How an application accepts an upgrade request that no service has claimed: ``accept``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from geventkws.http.context import Upgradable
from geventkws.http.response import Response
from geventkws.http.takeover import OnEnd
from geventkws.options import ServerOptions
from geventkws.protocol.handshake import VERSION
from geventkws.protocol.refusals import HandshakeError
from geventkws.protocol.tokens import tokens
from geventkws.service import WebSocketService
from geventkws.service_check import check_service
from geventkws.websocket.connection import NO_PARAMETERS, WebSocketConnection
from geventkws.websocket.held import hold

ACCEPTOR = "geventkws.upgrade"
"""The key of the ``Acceptor`` in the environ of an upgrade request."""

_ELSEWHERE = """\
{server} cannot open WebSockets, or something in front of the application has made another environ: \
serve the application with geventkws.WebSocketServer"""

_OTHER_THREAD = """\
an upgrade request must be accepted in the thread of the server, where the application is called, not in a \
native thread; the connection can then be used in any thread"""

_NO_UPGRADE = """\
This address is for WebSockets: a request needs "Upgrade: websocket" and "Connection: Upgrade", which \
proxies must pass on"""


def accept(
    environ: dict[str, Any], service: WebSocketService, path_params: Mapping[str, Any] | None = None
) -> UpgradeAnswer:
    """Accept an upgrade request within a WSGI application, which returns what this returns.

    ``environ`` is that of the request, ``service`` gets the connection, and ``path_params`` become its
    ``path_params``. The handshake is complete when this returns. An application that does not want the
    connection returns an ordinary answer, such as a redirect to its login page, without calling this.

    If something is wrong with the handshake, its ``Origin`` is not allowed or ``service.connecting`` refuses,
    the server answers accordingly. Either way, what the application returns is not sent, so an application
    that cannot return this result may return anything.

    Raises ``HandshakeError`` (426) for a request that does not ask for a WebSocket; it becomes the answer
    unless it is caught. Raises ``RuntimeError`` under another server, in a native thread, when called a
    second time and after ``start_response``; ``TypeError`` or ``ValueError`` for a service that cannot serve.
    """
    acceptor = acceptor_of(environ)
    return acceptor.answer(check_service(service), path_params)


class UpgradeAnswer:
    """The answer to an upgrade request, which the server itself has given or will give.

    It is both an empty iterable and a WSGI application, so frameworks can return it as either.
    """

    def __init__(self, refusal: HandshakeError | None = None, *, too_late: bool = False) -> None:
        self.refusal = refusal
        """Why the request is refused, ``None`` if it is accepted."""
        self.too_late = too_late
        """Whether the client had already gone, so that there is no connection."""

    @property
    def status(self) -> int:
        """The status of the answer: 101, unless the request is refused."""
        return 101 if self.refusal is None else self.refusal.status

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = ""
        start_response(f"{self.status} {reason}", [])
        return ()

    def __repr__(self) -> str:
        return f"<UpgradeAnswer {self.status}>"


class ApplicationError(HandshakeError):
    """What ``connecting`` raises is the application's own: it passes through ``accept``, unchanged."""

    def __init__(self, error: Exception) -> None:
        super().__init__(500)
        self.error = error


class Acceptor:
    """``environ["geventkws.upgrade"]``: accepts the upgrade when it is called with a service."""

    def __init__(
        self,
        http: Upgradable,
        check: Callable[[WebSocketService], object],
        accept: Callable[[WebSocketService, Mapping[str, Any]], WebSocketConnection],
        options: ServerOptions,
    ) -> None:
        """``check`` and ``accept`` raise ``HandshakeError`` to refuse; ``options`` are the server's."""
        self.options = options
        self._http = http
        self._check = check
        self._accept = accept
        self._used = False

    def __call__(self, service: WebSocketService) -> None:
        """Complete the handshake for ``service``; what the application returns is then not sent.

        Raises what ``accept`` does, and ``HandshakeError`` if the request must be refused, which becomes
        the answer unless it is caught.
        """
        check_service(service)
        self._complete(self._begin(), service, NO_PARAMETERS)

    def hold(self, service: WebSocketService, on_end: OnEnd) -> WebSocketConnection | None:
        """Complete the handshake for the calling greenlet, which takes the messages of the connection itself.

        ``on_end`` is called when the request is over. Returns ``None`` if the client had already gone. Raises
        ``HandshakeError``, which becomes the answer, for an origin that is not in ``upgrade_origins`` and
        whatever else is wrong.
        """
        self._check_thread()
        takeover = self._http.takeover
        assert takeover is not None
        takeover.allow()
        try:
            connection = self._complete(self._begin(), service, NO_PARAMETERS)
        except HandshakeError as refusal:
            self.refuse(refusal)
            raise
        if connection is not None:
            hold(connection)
        takeover.on_end = on_end
        return connection

    def check(self, service: WebSocketService) -> None:
        """Raise ``HandshakeError`` if ``service`` cannot take this handshake, or not from its ``Origin``."""
        self._check(service)

    def answer(self, service: WebSocketService, path_params: Mapping[str, Any] | None) -> UpgradeAnswer:
        """Do what ``accept`` does, for a service that has been checked."""
        parameters = MappingProxyType(dict(path_params)) if path_params else NO_PARAMETERS
        try:
            connection = self._complete(self._begin(), service, parameters)
        except ApplicationError as passed:
            raise passed.error from None
        except HandshakeError as refusal:
            return self.refuse(refusal)
        return UpgradeAnswer(too_late=connection is None)

    def refuse(self, refusal: HandshakeError) -> UpgradeAnswer:
        """Let ``refusal`` be the answer, whatever the application returns."""
        self._used = True
        if self._http.response is not None:
            self._http.response.refusal = refusal
        return UpgradeAnswer(refusal)

    def _complete(
        self, response: Response, service: WebSocketService, params: Mapping[str, Any]
    ) -> WebSocketConnection | None:
        """Return the new connection. That the client has gone, so that there is none, is nobody's mistake."""
        try:
            return self._accept(service, params)
        except OSError:
            response.peer_gone = True
            return None

    def _check_thread(self) -> None:
        if self._http.stream.channel.loop.is_foreign_thread():
            raise RuntimeError(_OTHER_THREAD)

    def _begin(self) -> Response:
        self._check_thread()
        if self._used or self._http.stream.is_given:
            raise RuntimeError("this upgrade request has been accepted or refused already")
        response = self._http.response
        if response is None or response.status or response.is_over:
            raise RuntimeError("an upgrade request must be accepted before start_response is called")
        self._used = True
        return response


def acceptor_of(environ: dict[str, Any]) -> Acceptor:
    """Return what accepts the upgrade request of ``environ``; raise what ``accept`` does if it is not one."""
    acceptor = environ.get(ACCEPTOR)
    if isinstance(acceptor, Acceptor):
        return acceptor
    if _lists(environ, "HTTP_UPGRADE", "websocket") and _lists(environ, "HTTP_CONNECTION", "upgrade"):
        raise RuntimeError(_ELSEWHERE.format(server=environ.get("SERVER_SOFTWARE") or "This server"))
    # RFC 9110, 15.5.22: a 426 has an Upgrade field.
    answer = [("Sec-WebSocket-Version", VERSION), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    raise HandshakeError(426, _NO_UPGRADE, answer)


def _lists(environ: dict[str, Any], key: str, member: str) -> bool:
    return member in tokens([environ.get(key, "")])
