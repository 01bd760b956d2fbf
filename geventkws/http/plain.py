"""The server's own responses: complete, in plain text, and the last on their connection."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from geventkws.http.fields import DEFAULT_SERVER, date_line


def plain_response(
    status: int,
    message: str,
    headers: Iterable[tuple[str, str]] = (),
    *,
    head_only: bool = False,
    server: bytes = DEFAULT_SERVER,
) -> bytes:
    """Return a complete response of the server's own, in plain text, after which the connection closes.

    ``message`` is its body, by default the reason phrase; ``head_only`` leaves the body out (HEAD).
    """
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    body = b"" if status == 304 else (message or reason).encode("utf-8", "replace") + b"\n"
    fields = {"content-type": ("Content-Type", "text/plain; charset=utf-8")} if body else {}
    fields["content-length"] = ("Content-Length", str(len(body)))
    connection = ["close"]
    repeated = []
    for name, value in headers:
        lower = name.lower()
        if lower == "connection":  # a 426 must have one that says "Upgrade" (RFC 9110, 15.5.22)
            connection.insert(0, value)
        elif lower == "content-type":
            fields[lower] = (name, value)
        elif lower not in ("content-length", "transfer-encoding"):
            repeated.append((name, value))
    pairs = [*fields.values(), *repeated, ("Connection", ", ".join(connection))]
    lines = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    head = f"HTTP/1.1 {status} {reason}\r\n".encode("ascii") + date_line() + server
    return head + lines.encode("latin-1", "replace") + b"\r\n" + (b"" if head_only else body)
