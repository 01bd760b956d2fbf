"""The access log: one line per HTTP request and one per closed WebSocket, to ``geventkws.access``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from geventkws.escape import escape
from geventkws.http.context import AccessEntry
from geventkws.http.head import RequestHead
from geventkws.http.log import access_logger as logger
from geventkws.net.address import Address
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.websocket.connection import WebSocketConnection

REQUEST = '%s - - [%s] "%s" %d %s "%s" "%s"'
WEBSOCKET = '%s - - [%s] "WEBSOCKET %s" %d %.3fs received %d messages %d bytes sent %d messages %d bytes "%s"'

FIELDS = {
    REQUEST: ("remote_address", "time", "request", "status", "bytes_sent", "referer", "user_agent"),
    WEBSOCKET: (
        "remote_address",
        "time",
        "websocket",
        "close_code",
        "seconds",
        "messages_received",
        "bytes_received",
        "messages_sent",
        "bytes_sent",
        "user_agent",
    ),
}
"""The names of a record's arguments, by its message, for formatters that write other formats."""


class Answered(NamedTuple):
    """What else is known of a line: the attribute ``answered`` of its record, for other access logs."""

    host: str
    request: tuple[str, str, str] | None
    """The method, the target and the version, escaped; ``None`` if the request was not understood."""
    headers: Iterable[tuple[str, str]]
    """The header fields of the request, not escaped."""
    status: int
    bytes_sent: int
    seconds: float


SWITCHING_PROTOCOLS = 101
"""The status of a request that began a WebSocket."""


def log_request(entry: AccessEntry) -> None:
    """Log an answered request in the combined format of Apache and nginx."""
    head = entry.head
    logger.info(
        REQUEST,
        _host(entry.remote_address),
        _timestamp(),
        escape(f"{head.method} {head.target} HTTP/{head.version}") if head else "-",
        entry.status,
        entry.bytes_sent or "-",
        _field(head, "Referer"),
        _field(head, "User-Agent"),
        extra={"answered": _answered(entry)},
    )


def _answered(entry: AccessEntry) -> Answered:
    head, request = entry.head, None
    if head is not None:
        request = escape(head.method), escape(head.target), head.version
    headers = head.headers if head is not None else ()
    host = _host(entry.remote_address)
    return Answered(host, request, headers, entry.status, entry.bytes_sent, entry.seconds)


def log_websocket(connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
    """Log a WebSocket that is over: close code, duration, messages and bytes each way."""
    request, traffic = connection.request, connection.traffic
    answered = Answered(
        _host(request.remote_address),
        (escape(request.method), escape(request.target), "1.1"),
        request.headers.items(),
        SWITCHING_PROTOCOLS,
        traffic.bytes_sent,
        traffic.duration,
    )
    logger.info(
        WEBSOCKET,
        answered.host,
        _timestamp(),
        escape(request.target),
        reason,
        traffic.duration,
        traffic.messages_received,
        traffic.bytes_received,
        traffic.messages_sent,
        traffic.bytes_sent,
        escape(request.headers.get("User-Agent", "-")),
        extra={"answered": answered},
    )


def _host(address: Address) -> str:
    return (address[0] if isinstance(address, tuple) else address) or "-"


def _field(head: RequestHead | None, name: str) -> str:
    return escape(head.field(name) or "-") if head else "-"


def _timestamp() -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z")
