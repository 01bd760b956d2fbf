"""Requests from bytes, without a socket.

The reader itself finds the end of each head, and gives llhttp (Node's parser, strict) that head alone to
check. So llhttp never sees a body, an upgrade or a second request, whose framing it would decide by its own
rules, and nothing that follows a request is parsed before that request is answered.
"""

from __future__ import annotations

import re

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from geventkws.backend import use_compiled
from geventkws.http.chunked import ChunkedDecoder
from geventkws.http.errors import HTTPError, TLSGreetingError
from geventkws.http.field_lines import cut_fields
from geventkws.http.framing import frame_request
from geventkws.http.head import CHUNKED, RequestHead
from geventkws.http.target import ALLOWED, normalise
from geventkws.options import DEFAULTS, ServerOptions
from geventkws.protocol.tokens import is_token

_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")
_CLIENT_HELLO = b"\x16\x03"
"""How a TLS client begins: a handshake record of version 3.x (RFC 8446, 5.1)."""

_BESIDE_TARGET = 64
"""The most bytes that a request line has besides its target: no known method is that long."""

PIECE = 64 * 1024
"""The most bytes of a body that are handled at once."""

_NO_CRLF = "A line of the request head does not end in CRLF"

# Registered with IANA, but not known to every llhttp. (PRI is registered, too, but no request may use it.)
_FURTHER_METHODS = frozenset(
    [
        "BASELINE-CONTROL",
        "CHECKIN",
        "LABEL",
        "MKREDIRECTREF",
        "MKWORKSPACE",
        "ORDERPATCH",
        "QUERY",
        "UNCHECKOUT",
        "UPDATE",
        "UPDATEREDIRECTREF",
        "VERSION-CONTROL",
    ]
)

_VERSIONS = {"HTTP/1.1": "1.1", "HTTP/1.0": "1.0"}
_OTHER_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")


class RequestReader:
    """The requests of one connection, in order: ``feed`` bytes, then take the head, then its body."""

    __slots__ = (
        "_blank",
        "_buffer",
        "_chunks",
        "_left",
        "_max_fields",
        "_max_size",
        "_max_target",
        "_position",
        "_searched",
    )

    def __init__(self, options: ServerOptions = DEFAULTS) -> None:
        """Refuse what is larger than ``options`` allow."""
        self._max_size = options.max_head_size
        self._max_target = options.max_target_size
        self._max_fields = options.max_head_fields
        self._buffer = b""
        self._position = 0
        self._searched = 0
        self._blank = 0
        self._left = 0
        self._chunks: ChunkedDecoder | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._position == len(self._buffer):
            self._buffer = data
        else:
            self._buffer = self._buffer[self._position :] + data
        self._searched -= self._position
        self._position = 0

    def has_more(self) -> bool:
        """Return whether bytes have arrived beyond the heads and bodies returned so far."""
        return self._position < len(self._buffer)

    def buffered(self) -> int:
        """Return how many bytes have arrived but not been returned yet."""
        return len(self._buffer) - self._position

    def take_rest(self) -> bytes:
        """Return, and forget, what has arrived after the last head and the part of its body that was read."""
        rest = self._buffer[self._position :]
        self._buffer = b""
        self._position = self._searched = 0
        return rest

    # ---------------------------------------------------------------- heads

    def head(self) -> RequestHead | None:
        """Return the next request's head, or ``None`` until more has been fed.

        Raises ``HTTPError`` if the bytes are not a request that this server accepts; the reader cannot
        be used after that.
        """
        data, start = self._buffer, self._position
        if start == len(data):
            return None
        if data.startswith(b"\r\n", start):
            start = self._skip_blank_lines()
        end = data.find(b"\r\n\r\n", max(start, self._searched)) + 4
        if end < 4:
            self._check_unfinished(start)
            return None
        if end - start + self._blank > self._max_size:
            raise self._too_large()
        head = _parse(data[start:end], self._max_fields, self._max_target)
        if end == len(data):
            self._buffer, end = b"", 0  # an idle connection keeps no buffer
        self._position = self._searched = end
        self._blank = 0
        self._left = head.body_length
        self._chunks = ChunkedDecoder() if head.body_length == CHUNKED else None
        return head

    def _skip_blank_lines(self) -> int:
        # Some clients send an empty line after a body (RFC 9112, 2.2), which counts towards the head's size.
        start = self._position
        while self._buffer.startswith(b"\r\n", start):
            start += 2
        self._blank += start - self._position
        self._position = start
        if self._blank > self._max_size:
            raise self._too_large()
        return start

    def _check_unfinished(self, start: int) -> None:
        data = self._buffer
        if len(data) - start + self._blank > self._max_size:
            raise self._too_large()
        if len(data) > start and data.find(b"\r", start, start + 1) < 0 and not _START.match(data, start):
            if data.startswith(_CLIENT_HELLO, start):
                raise TLSGreetingError
            raise HTTPError(400, "The bytes received are not an HTTP request")
        if len(data) > start + 1 and data.startswith(b"\r", start):
            raise HTTPError(400, _NO_CRLF)
        longest = self._max_target + _BESIDE_TARGET
        if len(data) - start > longest and data.find(b"\n", start, start + longest) < 0:
            raise _target_too_long(self._max_target)
        # A line that ends in a bare LF must not wait for a CRLF that never comes.
        newline = data.find(b"\n", max(start, self._searched))
        while newline >= 0:
            if newline == start or data[newline - 1] != 0x0D:
                raise HTTPError(400, _NO_CRLF)
            newline = data.find(b"\n", newline + 1)
        self._searched = max(start, len(data) - 3)

    def _too_large(self) -> HTTPError:
        return HTTPError(431, f"The request head is larger than {self._max_size} bytes")

    # --------------------------------------------------------------- bodies

    @property
    def body_left(self) -> int:
        """Bytes of the current body that have not been returned yet; ``CHUNKED`` if that is unknown."""
        if self._chunks is not None:
            return 0 if self._chunks.done else CHUNKED
        return self._left

    def body(self, limit: int = PIECE) -> bytes | None:
        """Return up to ``limit`` bytes of the current body: ``b""`` at its end, ``None`` until more is fed.

        Raises ``HTTPError`` (400) for a malformed chunked body.
        """
        if self._chunks is not None:
            piece, self._position = self._chunks.decode(self._buffer, self._position, limit)
            return piece if piece or self._chunks.done else None
        if not self._left:
            return b""
        piece = self._buffer[self._position : self._position + min(self._left, limit)]
        self._position += len(piece)
        self._left -= len(piece)
        return piece or None


def _target_too_long(limit: int) -> HTTPError:
    return HTTPError(414, f"The request target is longer than {limit} bytes")


def _parse(data: bytes, max_fields: int, max_target: int) -> RequestHead:
    end = data.find(b"\r\n")
    request_line = data[:end].decode("latin-1").split(" ")
    # llhttp would skip a bare CR or LF before the method.
    if len(request_line) != 3 or request_line[0][:1] in "\r\n":
        raise HTTPError(400, "The request line is not 'method target version'")
    method, target, protocol = request_line
    if len(target) > max_target:
        raise _target_too_long(max_target)
    version = _VERSIONS.get(protocol) or _refuse_protocol(protocol)
    _check(data, method)
    if method in ("CONNECT", "TRACE"):
        raise HTTPError(405, f"The method {method} is not supported", [("Allow", ALLOWED)])
    fields = cut_fields(data, end + 2, max_fields)
    if fields is None:
        raise HTTPError(431, f"The request head has more than {max_fields} fields")
    if target[:1] != "/" or "#" in target:
        target, fields = normalise(method, target, fields)
    return frame_request(method, target, version, fields)


def _refuse_protocol(protocol: str) -> str:
    if _OTHER_VERSION.fullmatch(protocol) and protocol != "HTTP/0.9":
        raise HTTPError(505, "The only versions of HTTP supported are 1.1 and 1.0")
    if protocol.startswith(("RTSP/", "ICE/")):
        raise HTTPError(501, "The only protocol supported is HTTP")
    raise HTTPError(400, "The request line does not end in an HTTP version")


def _check(data: bytes, method: str) -> None:
    try:
        HttpRequestParser(None).feed_data(data)
    except HttpParserUpgrade:
        pass  # framing.py decides whether it is one
    except HttpParserInvalidMethodError:
        if method in _FURTHER_METHODS:
            _check(b"".join((b"PUT", memoryview(data)[len(method) :])), "PUT")
        elif is_token(method):
            raise HTTPError(501, "The request method is not known") from None
        else:
            raise HTTPError(400, "The request method is malformed") from None
    except HttpParserError as error:
        raise HTTPError(400, f"The request is malformed: {error}") from None


use_compiled(__name__, globals())
