"""What geventkws logs with the standard library goes into gunicorn's logs, in gunicorn's format."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from geventkws.escape import escape
from geventkws.server.access_log import Answered


def use_log(log: Any) -> None:
    """Let the loggers of geventkws write to gunicorn's ``log``, unless they are already configured."""
    logger = logging.getLogger("geventkws")
    if not logger.hasHandlers():
        for handler in log.error_log.handlers:
            logger.addHandler(handler)
        logger.setLevel(log.error_log.level)
        logger.propagate = False
    access_logger = logging.getLogger("geventkws.access")
    access_logger.propagate = False
    if getattr(log, "access_log_enabled", True):
        access_logger.addHandler(AccessHandler(log))
        access_logger.setLevel(logging.INFO)
    else:
        access_logger.setLevel(logging.CRITICAL)


class AccessHandler(logging.Handler):
    """Writes requests, and WebSockets when they end, into gunicorn's access log."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        answered: Answered = vars(record)["answered"]
        headers: dict[str, str] = {}
        for name, value in answered.headers:
            name, value = escape(name), escape(value)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        response = SimpleNamespace(status=str(answered.status), sent=answered.bytes_sent, headers={})
        request = SimpleNamespace(headers=headers)
        duration = timedelta(seconds=answered.seconds)
        self._log.access(response, request, _environ(answered, headers), duration)


def _environ(answered: Answered, headers: dict[str, str]) -> dict[str, str]:
    method, target, version = answered.request or ("-", "-", "-")
    path, _, query = target.partition("?")
    return {
        "REMOTE_ADDR": answered.host,
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/{version}",
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
