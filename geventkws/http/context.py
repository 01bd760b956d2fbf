"""What the HTTP connections of one server share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

from geventkws.backend import use_compiled
from geventkws.http.environ import EnvironBuilder
from geventkws.http.fields import server_line
from geventkws.http.forwarded import TrustedProxies
from geventkws.http.head import RequestHead
from geventkws.http.request_durations import RequestDurations
from geventkws.http.response import Response
from geventkws.http.stream import Stream
from geventkws.http.takeover import Takeover
from geventkws.http.target import ALLOWED
from geventkws.loop.channel import Channel
from geventkws.loop.workers import Borrower
from geventkws.net.address import Address
from geventkws.options import ServerOptions
from geventkws.protocol.refusals import HandshakeError

Application = Callable[..., Iterable[bytes]]
"""A WSGI application: ``(environ, start_response)`` to an iterable of bytes."""


class Upgradable(Protocol):
    """What whoever answers an upgrade request needs of its exchange."""

    remote_address: Address
    """The client's address."""
    proxied: dict[str, str] | None
    """What a trusted proxy says about the request, as keys of its environ."""
    extra_environ: dict[str, Any] | None
    """What is added to the environ that the application gets."""

    @property
    def stream(self) -> Stream:
        """What the answer is written to."""

    @property
    def response(self) -> Response | None:
        """The application's answer so far."""

    @property
    def takeover(self) -> Takeover | None:
        """How the application may take the connection."""

    def offer(self, check: Callable[[], None], read_ahead: bytes) -> Takeover:
        """Let the application take the connection, unless ``check`` raises, through what is returned."""

    def take(self) -> Channel:
        """Give the channel, open and with all answers sent, to another owner."""


class AccessEntry(NamedTuple):
    """One answered request, for the access log."""

    remote_address: Address
    head: RequestHead | None
    """``None`` if the request was not understood."""
    status: int
    bytes_sent: int
    """Bytes of the response's body."""
    seconds: float = 0.0
    """From when the head of the request was there until it was answered."""


def no_application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer 404: the WSGI application of a server that has only WebSocket services."""
    start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
    return [b"There is nothing here but WebSocket services.\n"]


def server_options(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer ``OPTIONS *``: what the server as a whole supports (RFC 9110, 9.3.7)."""
    start_response("200 OK", [("Allow", ALLOWED)])
    return []


def no_services(exchange: Upgradable, head: RequestHead, leftover: bytes) -> bool:
    """Claim no upgrade: the request goes to the application."""
    return False


def keep_quiet(mistake: str) -> None:
    """Say nothing."""


def forget(channel: Channel) -> None:
    """Do nothing about a connection that is over."""


def take_no_notice(refusal: HandshakeError | None) -> None:
    """Do nothing about a refused handshake."""


class HTTPContext:
    """What the HTTP connections of one server share."""

    __slots__ = (
        "application",
        "body_timeout",
        "close_timeout",
        "environ",
        "head_timeout",
        "keepalive_timeout",
        "log_access",
        "max_body_size",
        "max_head_size",
        "on_over",
        "on_refusal",
        "on_upgrade",
        "options",
        "proxies",
        "request_durations",
        "request_timeout",
        "server_line",
        "start",
        "warn_once",
    )

    def __init__(
        self,
        environ: EnvironBuilder,
        application: Application = no_application,
        options: ServerOptions | None = None,
        on_upgrade: Callable[[Upgradable, RequestHead, bytes], bool] = no_services,
        log_access: Callable[[AccessEntry], None] | None = None,
        warn_once: Callable[[str], None] = keep_quiet,
    ) -> None:
        self.environ = environ
        self.application = application
        self.on_upgrade = on_upgrade
        """Takes a WebSocket upgrade, and the bytes that arrived after its head; refuses with ``HTTPError``
        or ``HandshakeError``. ``False``: the application answers."""
        self.log_access = log_access
        self.warn_once = warn_once
        """Logs a mistake that clients make, the first time. Never waits."""
        self.start: Callable[[Borrower], bool] | None = None
        """Starts a greenlet, now or later, in which a connection answers the request whose head it has read.
        ``False``: too many are waiting for one. ``None``: the loop lends it one."""
        self.on_over: Callable[[Channel], None] = forget
        """Called when a connection is closed and no greenlet works for it."""
        self.on_refusal: Callable[[HandshakeError | None], object] = take_no_notice
        """Called when a WebSocket is refused: with the reason, or ``None`` if the application has sent
        a response of its own. Never waits."""
        self.request_durations: RequestDurations | None = None
        """Where requests are counted, if they are."""
        self.options = options = options or ServerOptions()
        # Options that every request needs are kept here.
        self.head_timeout = options.head_timeout
        self.keepalive_timeout = options.keepalive_timeout
        self.body_timeout = options.body_timeout
        self.request_timeout = options.request_timeout
        self.close_timeout = options.close_timeout
        self.max_head_size = options.max_head_size
        self.max_body_size = options.max_body_size
        self.server_line = server_line(options.server_header)
        """The ``Server`` line of responses."""
        self.proxies = TrustedProxies(options.trusted_proxies)
        """The proxies that are believed about where a request comes from."""


use_compiled(__name__, globals())
