"""What the HTTP connections of one server share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from geventkws.backend import Channel
from geventkws.http.environ import EnvironBuilder
from geventkws.http.fields import server_line
from geventkws.http.forwarded import TrustedProxies
from geventkws.http.head import RequestHead
from geventkws.http.target import ALLOWED
from geventkws.net.address import Address
from geventkws.options import ServerOptions

if TYPE_CHECKING:
    from geventkws.http.connection import HTTPConnection

Application = Callable[..., Iterable[bytes]]
"""A WSGI application: ``(environ, start_response)`` to an iterable of bytes."""


class AccessEntry(NamedTuple):
    """One answered request, for the access log."""

    remote_address: Address
    head: RequestHead | None
    """``None`` if the request was not understood."""
    status: int
    bytes_sent: int
    """Bytes of the response's body."""


def no_application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer 404: the WSGI application of a server that serves WebSockets alone."""
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"There is nothing here but WebSocket services.\n"]


def server_options(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer ``OPTIONS *``: what the server as a whole supports (RFC 9110, 9.3.7)."""
    start_response("200 OK", [("Allow", ALLOWED)])
    return []


def no_services(connection: HTTPConnection, head: RequestHead, leftover: bytes) -> bool:
    """Claim no upgrade: the request goes to the application."""
    return False


def lend_worker(connection: HTTPConnection) -> None:
    """Let a connection borrow a worker."""
    connection.channel.loop.lend(connection)


def forget(channel: Channel) -> None:
    """Do nothing about a connection that is over."""


@dataclass(slots=True)
class HTTPContext:
    """What the HTTP connections of one server share."""

    environ: EnvironBuilder
    application: Application = no_application
    options: ServerOptions = field(default_factory=ServerOptions)
    on_upgrade: Callable[[HTTPConnection, RequestHead, bytes], bool] = no_services
    """Called for a WebSocket upgrade, with the bytes that arrived behind its head. ``True``: the
    transport was taken (``connection.take()``), the connection object is done with it.
    ``False``: the application answers. Refuses by ``HTTPError`` or ``HandshakeError``."""
    log_access: Callable[[AccessEntry], None] | None = None
    start: Callable[[HTTPConnection], None] = lend_worker
    """Lets a connection answer the request whose head it has, in a greenlet: calls its ``_work`` there."""
    on_over: Callable[[Channel], None] = forget
    """Called when a connection is closed and nobody is at work for it."""
    server_line: bytes = field(init=False)
    """The ``Server`` line of responses."""
    proxies: TrustedProxies = field(init=False)
    """Those whose word about a request's origin is taken."""

    def __post_init__(self) -> None:
        self.server_line = server_line(self.options.server_header)
        self.proxies = TrustedProxies(self.options.trusted_proxies)
