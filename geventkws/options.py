"""The limits of a server, most of them on by default: one field for each option of ``WebSocketServer``.

Everything known about an option stands with its field: the default, the unit, the check, what is limited, and
what happens beyond the limit. ``docs/options_table.py`` makes the tables of the documentation from this.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import partial
from typing import Any, TypedDict

from geventkws.option_checks import (
    Check,
    check_callable,
    check_close_code,
    check_field_value,
    check_flag,
    check_mode,
    check_networks,
    check_number,
    check_origins,
    check_owner,
)

SECONDS, BYTES, COUNT = "seconds", "bytes", ""
"""The units of numbers."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known about an option besides its default."""

    limits: str
    """What is limited, or what the option does."""
    beyond: str | None
    """What happens beyond the limit; ``None`` for an option that is not a limit."""
    check: Check
    unit: str | None = None
    by_clock: bool = False
    """Whether it is a time limit that the server's clock enforces for each connection."""


def _limit(default: float | None, limits: str, beyond: str, unit: str, by_clock: bool = False) -> Any:
    about = About(limits, beyond, partial(check_number, unit), unit, by_clock)
    return field(default=default, metadata={"about": about})


def _count(default: int | None, limits: str, beyond: str) -> Any:
    return _limit(default, limits, beyond, COUNT)


def _size(default: int | None, limits: str, beyond: str) -> Any:
    return _limit(default, limits, beyond, BYTES)


def _time(default: float | None, limits: str, beyond: str, by_clock: bool = True) -> Any:
    return _limit(default, limits, beyond, SECONDS, by_clock)


def _choice(default: object, does: str, check: Check) -> Any:
    return field(default=default, metadata={"about": About(does, None, check)})


KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server allows and how long it waits.

    Sizes are in bytes and times in seconds. Where ``None`` is allowed for one, it means no limit.
    """

    max_fragments: int = _count(131_072, "frames in one message", "closed with 1009")
    max_inbox_size: int = _size(
        1 * MIB, "bytes of messages waiting for a connection's callback", "the socket is not read"
    )
    max_inbox_messages: int = _count(
        64, "messages waiting for a connection's callback", "the socket is not read"
    )
    max_send_buffer: int = _size(
        1 * MIB,
        "bytes waiting to be sent on a connection",
        "`send` waits; `broadcast` ends the connection with 1013",
    )
    send_timeout: float | None = _time(
        60.0, "how long a peer may read nothing while bytes wait for it", "dropped, 1006"
    )
    close_timeout: float = _time(
        10.0,
        "how long to wait for the peer's close frame, and for the end of its TCP stream",
        "the socket is closed",
    )
    stop_timeout: float = _time(
        10.0,
        "how long `stop` waits for requests and services",
        "connections still busy are dropped",
        by_clock=False,
    )
    drain_code: int = _choice(
        1001,
        "the code with which WebSockets are closed when the server stops: 1001, 1012, 1013 or 3000 to 4999",
        check_close_code,
    )
    drain_window: float | None = _time(
        None,
        "over how long the closing of WebSockets is spread when the server stops, so that clients do not all"
        " come back at once; not longer than `stop_timeout`",
        "nobody is left to close",
        by_clock=False,
    )
    block_warning: float | None = _time(
        1.0,
        "how long the hub may be blocked",
        "the log names the code that blocks it, with its stack",
        by_clock=False,
    )
    max_connections: int | None = _count(
        None, "connections, HTTP and WebSocket together", "503 with `Retry-After`, closed"
    )
    max_connections_per_address: int | None = _count(
        None,
        "connections from one client: one IPv4 address, or one IPv6 /64 network",
        "503 with `Retry-After`, closed",
    )
    max_waiting_requests: int | None = _count(
        1024, "requests that wait while the pool of `spawn` is full", "503, closed"
    )
    max_connection_age: float | None = _time(
        None,
        "how long a connection may last, shortened at random by up to a tenth",
        "a WebSocket is closed with 1012; HTTP gets a response with `Connection: close`",
    )
    max_requests: int | None = _count(
        10_000, "requests on one connection", "the last response has `Connection: close`"
    )
    max_target_size: int = _size(8 * KIB, "a request target, path and query", "414")
    max_head_size: int = _size(64 * KIB, "a request line with its header fields", "431")
    max_head_fields: int = _count(100, "header fields in a request", "431")
    handshake_timeout: float | None = _time(10.0, "a TLS handshake", "closed")
    head_timeout: float | None = _time(
        10.0,
        "a request head, from its first byte or the start of the connection to its last byte; a PROXY header",
        "408; just closed if nothing arrived",
    )
    keepalive_timeout: float | None = _time(75.0, "the wait for the next request", "closed")
    max_body_size: int | None = _size(None, "a request body", "413")
    max_spool_size: int = _size(16 * MIB, "a chunked request body", "413")
    body_timeout: float | None = _time(
        60.0,
        "one read of a request body, or one write of a response",
        "the read or write raises an error; closed",
    )
    request_timeout: float | None = _time(
        None,
        "how long an application may take until the head of its response is sent; the time starts anew"
        " whenever it waits for the request's body",
        "the log says where the application is, with its stack; 503, closed",
    )
    trusted_proxies: tuple[str, ...] = _choice(
        (),
        "proxies whose `X-Forwarded-*` and `Forwarded` fields are believed: addresses, networks, or"
        ' `"unix"` for Unix sockets',
        check_networks,
    )
    proxy_protocol: bool = _choice(
        False,
        "whether every connection starts with a PROXY header, which gives the client's address",
        check_flag,
    )
    unix_socket_mode: int | None = _choice(
        None,
        'the mode of the socket file of a `"unix:/path"` listener, such as `0o660`; `None` leaves it to the'
        " umask",
        check_mode,
    )
    unix_socket_owner: str | None = _choice(
        None,
        'the owner of that file: `"user"`, `"user:group"` or `":group"`; `None` for the user and group of'
        " the process",
        check_owner,
    )
    spool_chunked: bool = _choice(
        True,
        "whether a chunked request body is read whole before the application is called; if not, the"
        " application reads it as it arrives, and `wsgi.input_terminated` is set",
        check_flag,
    )
    end_abandoned_responses: bool = _choice(
        True,
        "whether an application that waits in the middle of a streamed response, such as server-sent events,"
        " is ended once its client has gone",
        check_flag,
    )
    server_header: str | None = _choice(
        "geventkws", "the `Server` field of responses; `None` for none", check_field_value
    )
    application_upgrades: bool = _choice(
        True,
        "whether an upgrade request that no service claims goes to the WSGI application, which may accept it;"
        " if not, it is answered with 404",
        check_flag,
    )
    upgrade_origins: tuple[str, ...] = _choice(
        (),
        "origins whose pages may open WebSockets that the application itself serves, with its own 101 or"
        ' `environ["geventkws.socket"]`, or by `environ["wsgi.websocket"]`; `"*"` for any. By default, only'
        " pages of the same host and port",
        check_origins,
    )
    upgrade_max_message_size: int = _size(
        1 * MIB,
        'bytes in a message of the WebSockets of `environ["wsgi.websocket"]`, and of those that'
        " `geventkws.compat.install` puts on our frames, unless the application sets a limit",
        "the connection fails with 1009",
    )
    upgrade_compression: bool = _choice(
        False,
        'whether the WebSockets of `environ["wsgi.websocket"]`, and those that `geventkws.compat.install`'
        " puts on our frames, compress their messages (RFC 7692) where the client offers it",
        check_flag,
    )
    on_start: Callable[[], object] | None = _choice(
        None, "called once, without arguments, when the server has started", check_callable
    )
    on_stop: Callable[[], object] | None = _choice(
        None,
        "called once, without arguments, when the server begins to stop, while the listener is still open;"
        " may take up to `stop_timeout`",
        check_callable,
    )

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> ServerOptions:
        """Return the options for the keywords given to a server, after checking them.

        Raises ``TypeError`` for an unknown name or a value of the wrong type, and ``ValueError`` for a value
        that makes no sense.
        """
        known = {each.name: each for each in fields(cls)}
        for name, value in keywords.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise TypeError(f"WebSocketServer has no option {name!r}{hint}")
            ABOUT[name].check(name, value, str(known[name].type))
        options = cls(**{name: _kept(known[name], value) for name, value in keywords.items()})
        if options.drain_window is not None and options.drain_window > options.stop_timeout:
            raise ValueError(
                f"option 'drain_window' must not be longer than stop_timeout, {options.stop_timeout:g} s,"
                f" not {options.drain_window:g} s"
            )
        return options

    def time_limits(self) -> list[float | None]:
        """Return all time limits that the server's clock enforces."""
        return [getattr(self, name) for name, known in ABOUT.items() if known.by_clock]


def _kept(option: Field[Any], value: Any) -> Any:
    """Return a checked value as it is kept: a list cannot be changed later."""
    if not str(option.type).startswith("tuple"):
        return value
    return (value,) if isinstance(value, str) else tuple(value)


ABOUT: Mapping[str, About] = {each.name: each.metadata["about"] for each in fields(ServerOptions)}
"""What is known about each option, by its name."""

DEFAULTS = ServerOptions()


def shown(default: Any, unit: str | None, none: str = "none") -> str:
    """Return a default as people write it: ``"1 MiB"``, ``"10 s"``, ``"10,000"``; ``none`` for ``None``."""
    if default is None or default == ():
        return none
    if unit == SECONDS:
        return f"{default:g} s"
    if unit == BYTES:
        return f"{default // MIB:g} MiB" if default >= MIB else f"{default // KIB:g} KiB"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:,}" if unit == COUNT else str(default)


class Options(TypedDict, total=False):
    """The options as keywords, one line each, for editors and type checkers, which cannot read the fields."""

    max_fragments: int
    max_inbox_size: int
    max_inbox_messages: int
    max_send_buffer: int
    send_timeout: float | None
    close_timeout: float
    stop_timeout: float
    drain_code: int
    drain_window: float | None
    block_warning: float | None
    max_connections: int | None
    max_connections_per_address: int | None
    max_waiting_requests: int | None
    max_connection_age: float | None
    max_requests: int | None
    max_target_size: int
    max_head_size: int
    max_head_fields: int
    handshake_timeout: float | None
    head_timeout: float | None
    keepalive_timeout: float | None
    max_body_size: int | None
    max_spool_size: int
    body_timeout: float | None
    request_timeout: float | None
    trusted_proxies: Collection[str]
    proxy_protocol: bool
    unix_socket_mode: int | None
    unix_socket_owner: str | None
    spool_chunked: bool
    end_abandoned_responses: bool
    server_header: str | None
    application_upgrades: bool
    upgrade_origins: Collection[str]
    upgrade_max_message_size: int
    upgrade_compression: bool
    on_start: Callable[[], object] | None
    on_stop: Callable[[], object] | None
