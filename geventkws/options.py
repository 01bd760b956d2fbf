"""The limits of a server, most of them on by default: one field for each option of ``WebSocketServer``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_network
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server allows and how long it waits.

    Sizes are in bytes and times in seconds. A time or a count of ``None`` means no limit.
    """

    max_fragments: int = 131_072
    """Frames a fragmented message may have; beyond it the connection fails with 1009."""

    max_inbox_size: int = 1024 * 1024
    """Bytes of messages that wait for a service's callback before the socket is no longer read."""

    max_inbox_messages: int = 64
    """Messages that wait for a service's callback before the socket is no longer read."""

    max_send_buffer: int = 1024 * 1024
    """Bytes that wait for a peer before ``send`` blocks (and ``broadcast`` ends the connection)."""

    send_timeout: float | None = 60.0
    """Seconds a peer may take nothing of what waits for it before its connection is dropped."""

    close_timeout: float = 10.0
    """Seconds to wait for the peer's close frame, and then for its end of the TCP connection."""

    max_head_size: int = 64 * 1024
    """Bytes of a request line and its header fields (431)."""

    max_head_fields: int = 100
    """Header fields of a request (431)."""

    head_timeout: float | None = 10.0
    """Seconds from the first byte of a request head, or from the connection's start, to its end (408, or
    closed if nothing came)."""

    max_target_size: int = 8 * 1024
    """Bytes of a request target, the path with its query (414)."""

    max_requests: int | None = 10_000
    """Requests that an HTTP connection may have before it is closed."""

    keepalive_timeout: float | None = 75.0
    """Seconds an HTTP connection may wait idle for its next request before it is closed."""

    handshake_timeout: float | None = 10.0
    """Seconds that a TLS handshake may take before the connection is closed."""

    max_body_size: int | None = None
    """Bytes of a request body (413)."""

    spool_chunked: bool = True
    """Whether chunked request bodies are read whole before the application is called; if not, it reads them
    as they come, and ``wsgi.input_terminated`` says so."""

    max_spool_size: int = 16 * 1024 * 1024
    """Bytes of such a body (413), of which up to 256 KiB are kept in memory and more in a temporary file."""

    body_timeout: float | None = 60.0
    """Seconds that one read of a request body, or one write of a response, may wait for the peer."""

    max_connections: int | None = None
    """Connections in all, HTTP and WebSocket together; a further one gets 503 and is closed."""

    max_connections_per_address: int | None = None
    """The same of one client address, or of one /64 network of IPv6; trusted proxies are not counted."""

    trusted_proxies: tuple[str, ...] = ()
    """Whose ``X-Forwarded-*`` and ``Forwarded`` count: addresses, networks, ``"unix"`` for Unix sockets."""

    proxy_protocol: bool = False
    """Whether every connection starts with a PROXY header, which has the client's address."""

    unix_socket_mode: int | None = None
    """The mode of the file of a listener ``"unix:/path"``, such as ``0o660``; ``None`` for the umask's."""

    unix_socket_owner: str | None = None
    """Its owner: ``"user"``, ``"user:group"`` or ``":group"``; ``None`` for those of the process."""

    server_header: str | None = "geventkws"
    """The ``Server`` of responses; ``None`` for none."""

    application_upgrades: bool = False
    """Whether an upgrade request that no service claims goes to the WSGI application."""

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> ServerOptions:
        """Check and take the options given to a server.

        Raises ``TypeError`` for an unknown name or a value of the wrong type and ``ValueError``
        for a number below the least that makes sense.
        """
        known = {field.name: field for field in fields(cls)}
        for name, value in keywords.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise TypeError(f"WebSocketServer has no option {name!r}{hint}")
            check = _CHECKS.get(name, _check_number)
            check(name, value, str(known[name].type))
        if "trusted_proxies" in keywords:
            keywords = {**keywords, "trusted_proxies": tuple(keywords["trusted_proxies"])}
        return cls(**keywords)


def _check_flag(name: str, value: object, annotation: str) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"option {name!r} must be True or False, not {value!r}")


def _check_networks(name: str, value: object, annotation: str) -> None:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(f"option {name!r} must be a list of addresses and networks, not {value!r}")
    for entry in value:
        if entry != "unix":
            try:
                ip_network(entry)
            except ValueError as error:
                raise ValueError(f"option {name!r}: {error}") from None


def _check_field_value(name: str, value: object, annotation: str) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"option {name!r} must be a string or None, not {value!r}")
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"option {name!r} must be printable ASCII, not {value!r}")


def _check_mode(name: str, value: object, annotation: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"option {name!r} must be a number such as 0o660, not {value!r}")
    if not 0 < value <= 0o777:
        raise ValueError(f"option {name!r} must be 0o1 to 0o777, not {value:#o}; write it like 0o660")


def _check_owner(name: str, value: object, annotation: str) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"option {name!r} must be a string such as 'user:group', not {value!r}")
    if not value.strip(":") or value.count(":") > 1:
        raise ValueError(f"option {name!r} must be 'user', 'user:group' or ':group', not {value!r}")


def _check_number(name: str, value: object, annotation: str) -> None:
    if value is None:
        if "None" not in annotation:
            raise TypeError(f"option {name!r} must be a number, not None")
        return
    whole = "float" not in annotation
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        kind = "a whole number" if whole else "a number"
        raise TypeError(f"option {name!r} must be {kind}, not {value!r}")
    if not value > 0:
        raise ValueError(f"option {name!r} must be greater than 0, not {value!r}")


_CHECKS = {
    "application_upgrades": _check_flag,
    "proxy_protocol": _check_flag,
    "server_header": _check_field_value,
    "spool_chunked": _check_flag,
    "trusted_proxies": _check_networks,
    "unix_socket_mode": _check_mode,
    "unix_socket_owner": _check_owner,
}
