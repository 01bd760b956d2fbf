"""The head of a request, as the rest of the package sees it."""

from __future__ import annotations

from typing import NamedTuple

CHUNKED = -1
"""The ``body_length`` of a body whose length only its last chunk tells."""


class RequestHead(NamedTuple):
    """A request line and its header fields, checked, and what they say about the connection.

    Text is decoded as Latin-1 (one character a byte). ``target`` is in origin form, or ``*``.
    """

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body_length: int = 0
    """Bytes of the body that follows: 0 for none, ``CHUNKED`` if it is chunked."""
    keep_alive: bool = True
    """Whether the client lets the connection persist (RFC 9112, 9.3)."""
    expects_continue: bool = False
    """Whether the client waits for ``100 Continue`` before it sends the body (RFC 9110, 10.1.1)."""
    upgrade: bool = False
    """Whether the client asks for the WebSocket protocol on this connection."""

    def field(self, name: str) -> str | None:
        """Return the value of the field ``name``, lines of that name joined, or ``None``."""
        name = name.lower()
        values = [value for field, value in self.headers if field.lower() == name]
        return ", ".join(values) if values else None
