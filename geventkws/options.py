"""The limits of a server, on by default: one field an option of ``WebSocketServer``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    """Seconds from the first byte of a request head, or from the connection's start, to its end (408)."""

    keepalive_timeout: float | None = 75.0
    """Seconds an HTTP connection may wait idle for its next request before it is closed."""

    handshake_timeout: float | None = 10.0
    """Seconds that a TLS handshake may take before the connection is closed."""

    max_body_size: int | None = None
    """Bytes of a request body (413)."""

    body_timeout: float | None = 60.0
    """Seconds that one read of a request body, or one write of a response, may wait for the peer."""

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
            _check(name, value, str(known[name].type))
        return cls(**keywords)


def _check(name: str, value: object, annotation: str) -> None:
    if annotation == "bool":
        if not isinstance(value, bool):
            raise TypeError(f"option {name!r} must be True or False, not {value!r}")
        return
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
