"""The head of a request, as the rest of the package sees it."""

from __future__ import annotations

from geventkws.backend import use_compiled

CHUNKED = -1
"""The ``body_length`` of a chunked body, whose length is known only when the last chunk has arrived."""


class RequestHead:
    """A request line and its header fields, checked, and what they say about the connection.

    Text is decoded as Latin-1 (one character per byte). ``target`` is in origin form, or ``*``.
    """

    __slots__ = (
        "body_length",
        "expects_continue",
        "headers",
        "keep_alive",
        "lost_upgrade",
        "method",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        method: str,
        target: str,
        version: str,
        headers: tuple[tuple[str, str], ...],
        body_length: int = 0,
        keep_alive: bool = True,
        expects_continue: bool = False,
        upgrade: bool = False,
        lost_upgrade: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.body_length = body_length
        """Bytes of the body that follows: 0 for none, ``CHUNKED`` if it is chunked."""
        self.keep_alive = keep_alive
        """Whether the client allows the connection to persist (RFC 9112, 9.3)."""
        self.expects_continue = expects_continue
        """Whether the client waits for ``100 Continue`` before sending the body (RFC 9110, 10.1.1)."""
        self.upgrade = upgrade
        """Whether the client asks for the WebSocket protocol on this connection."""
        self.lost_upgrade = lost_upgrade
        """Whether the client must have asked for it, but the fields that say so have not arrived."""

    def with_headers(self, headers: tuple[tuple[str, str], ...]) -> RequestHead:
        """Return the same head with other header fields."""
        return RequestHead(
            self.method,
            self.target,
            self.version,
            headers,
            self.body_length,
            self.keep_alive,
            self.expects_continue,
            self.upgrade,
            self.lost_upgrade,
        )

    def field(self, name: str) -> str | None:
        """Return the value of the field ``name``, joining lines of that name; ``None`` if there is none."""
        name = name.lower()
        values = [value for field, value in self.headers if field.lower() == name]
        return ", ".join(values) if values else None


use_compiled(__name__, globals())
