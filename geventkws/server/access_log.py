"""The access log: one line per HTTP request and one per closed WebSocket, to ``geventkws.access``."""

from __future__ import annotations

import time

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
    )


def log_websocket(connection: WebSocketConnection, reason: WebSocketCloseReasonCode) -> None:
    """Log a WebSocket that is over: close code, duration, messages and bytes each way."""
    request, traffic = connection.request, connection.traffic
    logger.info(
        WEBSOCKET,
        _host(request.remote_address),
        _timestamp(),
        escape(request.target),
        reason,
        traffic.duration,
        traffic.messages_received,
        traffic.bytes_received,
        traffic.messages_sent,
        traffic.bytes_sent,
        escape(request.headers.get("User-Agent", "-")),
    )


def _host(address: Address) -> str:
    return (address[0] if isinstance(address, tuple) else address) or "-"


def _field(head: RequestHead | None, name: str) -> str:
    return escape(head.field(name) or "-") if head else "-"


def _timestamp() -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z")
