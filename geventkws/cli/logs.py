"""The logs: their level, format and files."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import sys
from configparser import Error as ConfigParserError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from geventkws.cli import colours
from geventkws.cli.config import read_toml
from geventkws.cli.errors import USAGE, Failure
from geventkws.server.access_log import FIELDS
from geventkws.server.log_limit import LogLimit
from geventkws.server.start_up import LOG_FORMAT

_logger = logging.getLogger("geventkws.server")

LEVELS = ("debug", "info", "warning", "error", "critical")

ACCESS_LOGS = ("off", "combined", "json")

_MISTAKES = (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, ConfigParserError)
"""The exceptions of ``logging.config`` for a configuration that it cannot use."""


_STYLES: dict[int, dict[str, Any]] = {
    logging.DEBUG: {"dim": True},
    logging.INFO: {"fg": "green"},
    logging.WARNING: {"fg": "yellow"},
    logging.ERROR: {"fg": "red"},
    logging.CRITICAL: {"fg": "red", "bold": True},
}


def configure(
    level: str | None, config: Path | None, access_log: str | None, log_format: str = LOG_FORMAT
) -> None:
    """Send the log to stderr and the access log to stdout.

    If there is a ``config`` for ``logging.config``, it decides instead; ``level`` and ``access_log`` override
    it if they are given.
    """
    if config is not None:
        _use_config(config)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(ColouredFormatter(log_format))
        logging.getLogger().addHandler(handler)
        level, access_log = level or "info", access_log or "combined"
    if level is not None:
        logging.getLogger().setLevel(level.upper())
    if access_log is not None:
        _use_access_log(access_log)


def _use_config(path: Path) -> None:
    try:
        if path.suffix in (".json", ".toml"):
            table = json.loads(path.read_bytes()) if path.suffix == ".json" else read_toml(path)
            logging.config.dictConfig({"disable_existing_loggers": False, **table})
        else:
            logging.config.fileConfig(path, disable_existing_loggers=False)
    except _MISTAKES as error:
        reason = error.__cause__ or error
        raise Failure(
            USAGE, f"--log-config {path}: {error}{'' if reason is error else f': {reason}'}"
        ) from None


def _use_access_log(kind: str) -> None:
    logger = logging.getLogger("geventkws.access")
    logger.propagate = False
    if kind == "off":
        logger.setLevel(logging.CRITICAL)
        return
    handler = AccessHandler(sys.stdout)
    handler.setFormatter(JSONFormatter() if kind == "json" else logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


class AccessHandler(logging.StreamHandler[TextIO]):
    """Writes the access log. If it cannot, as on a full disk, it says so once a minute, not for each line."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._limit = LogLimit()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging calls it so)
        if self._limit.allows():
            _logger.error("Lines of the access log are lost: %s", sys.exception())


class ColouredFormatter(logging.Formatter):
    """Colours the level, if stderr is a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        style = _STYLES.get(record.levelno, {})
        return text.replace(record.levelname, colours.styled(record.levelname, sys.stderr, **style), 1)


class JSONFormatter(logging.Formatter):
    """Makes each line of the access log a JSON object, without the fields that are not known."""

    def format(self, record: logging.LogRecord) -> str:
        names, values = FIELDS[str(record.msg)], record.args
        assert isinstance(values, tuple)
        entry = {name: value for name, value in zip(names, values, strict=True) if value != "-"}
        entry["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps(entry)


def reopen() -> None:
    """Reopen log files that were moved or removed, for example by logrotate."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.FileHandler):
                _reopen(handler)


def _reopen(handler: logging.FileHandler) -> None:
    handler.acquire()
    try:
        stream = handler.stream
        if stream is not None and _was_moved(handler.baseFilename, stream.fileno()):
            handler.setStream(handler._open())
            stream.close()
    finally:
        handler.release()


def _was_moved(path: str, descriptor: int) -> bool:
    try:
        return not os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return True
