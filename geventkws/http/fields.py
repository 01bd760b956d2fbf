"""The status line and the header fields of an application's response, checked and encoded."""

from __future__ import annotations

import re
import time
from email.utils import formatdate

from geventkws.backend import use_compiled
from geventkws.http.log import logger
from geventkws.protocol.tokens import is_token

# Applications use a few statuses and names over and over; the bounds are for those that make them up.
MAX_KNOWN = 1024
MAX_KNOWN_LENGTH = 64
"""Characters of the longest status or name that is remembered."""
_STATUS = re.compile(r"(101|[2-9][0-9][0-9]) [\t -~\x80-\xff]*")

_PLAIN, _CONTENT_LENGTH, _CONNECTION, _HOP_BY_HOP, _DATE, _SERVER = range(6)
_MEANINGS = {
    "content-length": _CONTENT_LENGTH,
    "connection": _CONNECTION,
    "keep-alive": _HOP_BY_HOP,
    "proxy-connection": _HOP_BY_HOP,
    "te": _HOP_BY_HOP,
    "trailer": _HOP_BY_HOP,
    "transfer-encoding": _HOP_BY_HOP,
    "upgrade": _HOP_BY_HOP,
    "date": _DATE,
    "server": _SERVER,
}
_SWITCHING = frozenset({"connection", "upgrade"})
_known_names: dict[str, int] = {}
_known_statuses: dict[str, tuple[int, bytes]] = {}
_warnings_given: set[str] = set()
MAX_WARNING = 256
"""How many characters of a warning decide whether it has been logged before."""


class Fields:
    """The fields that an application passed to ``start_response``, without those that are the server's.

    Raises ``TypeError`` or ``ValueError`` for anything that is not a header field: with a line break in a
    value, whoever chose the value could write the rest of the response.
    """

    __slots__ = ("closes", "content_length", "encoded", "own_date", "own_server")

    def __init__(self, headers: list[tuple[str, str]], switching: bool = False) -> None:
        """``switching`` is that of a 101, whose ``Upgrade`` and ``Connection`` are the application's."""
        self.content_length: int | None = None
        self.closes = False
        self.own_date = False
        self.own_server = False
        lines: list[str] = []
        for name, value in headers:
            if not isinstance(value, str):
                raise TypeError(f"a header field is a tuple of two strings, in {headers!r}")
            meaning = _known_names.get(name)
            if meaning is None:
                meaning = _meaning(name)
            if (
                meaning == _PLAIN
                or (switching and name.lower() in _SWITCHING)
                or self._keep(meaning, name, value)
            ):
                lines.append(f"{name}: {value}\r\n")
        text = "".join(lines)
        # Each line has exactly one CR and one LF, at its end, unless there are some in a value.
        if not text.count("\r") == text.count("\n") == len(lines) or "\0" in text:
            raise ValueError(f"the value of a header field has a CR, LF or NUL in it, in {headers!r}")
        self.encoded = text.encode("latin-1")

    def _keep(self, meaning: int, name: str, value: str) -> bool:
        """Read a field that means something to the server; return whether it is to be sent."""
        if meaning == _DATE:
            self.own_date = True
        elif meaning == _SERVER:
            self.own_server = True
        elif meaning == _CONTENT_LENGTH:
            length = _read_length(value)
            if self.content_length is not None and self.content_length != length:
                raise ValueError("there are two Content-Length headers, and they differ")
            self.content_length = length
            return False
        elif meaning == _CONNECTION and value.strip().lower() == "close":
            self.closes = True
            return False
        else:
            warn_once(f"The header {name} is not the application's to send (PEP 3333); it is dropped")
            return False
        return True

    def common(self, server: bytes) -> bytes:
        """Return the ``Date`` line and the ``server`` line, unless the application has set these fields."""
        date = b"" if self.own_date else date_line()
        return date if self.own_server else date + server


def read_status(status: str) -> tuple[int, bytes]:
    """Return the number of a WSGI status, and its status line; raise ``ValueError`` if it is malformed."""
    known = _known_statuses.get(status)
    if known is None:
        match = _STATUS.fullmatch(status)
        if match is None:
            raise ValueError(
                f"a status is 101 or a number of 200 to 999, a space and a reason, not {status!r}"
            )
        known = int(match[1]), f"HTTP/1.1 {status}\r\n".encode("latin-1")
        if len(status) <= MAX_KNOWN_LENGTH and len(_known_statuses) < MAX_KNOWN:
            _known_statuses[status] = known
    return known


def _read_length(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise ValueError(f"Content-Length is a number of bytes, not {value!r}")
    return int(value)


def _meaning(name: str) -> int:
    if not is_token(name):
        raise ValueError(f"{name!r} is not a valid name for a header field")
    meaning = _MEANINGS.get(name.lower(), _PLAIN)
    if len(name) <= MAX_KNOWN_LENGTH and len(_known_names) < MAX_KNOWN:
        _known_names[name] = meaning
    return meaning


def warn_once(message: str) -> None:
    """Log a warning about the application, the first time only."""
    key = message[:MAX_WARNING]
    if key not in _warnings_given and len(_warnings_given) < MAX_KNOWN:
        _warnings_given.add(key)
        logger.warning("%s", message)


_second = 0
_date_line = b""


def date_line() -> bytes:
    """Return the ``Date`` line, formatted once a second."""
    global _second, _date_line
    second = int(time.time())
    if second != _second:
        _date_line = f"Date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
        _second = second
    return _date_line


def server_line(value: str | None) -> bytes:
    """Return the ``Server`` line with this value; nothing for ``None``."""
    return b"" if value is None else f"Server: {value}\r\n".encode("latin-1")


DEFAULT_SERVER = server_line("geventkws")


use_compiled(__name__, globals())
