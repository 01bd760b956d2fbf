"""What the mutants are made of: requests whose bodies look like requests, the corpus, and handshakes."""

from __future__ import annotations

from tests.http.cases import CASES

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
"""What must stay a body."""


def _request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((line, b"Host: a", *fields, b"", body))


def _chunked(*chunks: bytes, trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"


OWN = (
    _request(b"GET /1 HTTP/1.1"),
    _request(b"GET /1?a=b HTTP/1.1", b"Connection: keep-alive", b"Accept: */*", b"Cookie: a=b; c=d"),
    _request(b"GET http://a/1 HTTP/1.1"),
    _request(b"POST /1 HTTP/1.1", b"Content-Length: 5", body=b"abcde"),
    _request(b"POST /1 HTTP/1.1", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
    _request(b"PUT /1 HTTP/1.1", b"Content-Type: text/plain", b"Content-Length: 0"),
    _request(b"POST /1 HTTP/1.1", b"Transfer-Encoding: chunked", body=_chunked(b"abcde")),
    _request(b"POST /1 HTTP/1.1", b"Transfer-Encoding: chunked", body=_chunked(b"a" * 10, HIDDEN)),
    _request(b"POST /1 HTTP/1.1", b"Transfer-Encoding: chunked", body=_chunked(HIDDEN, trailer=b"X: y\r\n")),
    _request(b"POST /1 HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 5", body=b"abcde"),
    _request(b"GET /1 HTTP/1.1", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
    _request(b"GET /1 HTTP/1.0", b"Connection: keep-alive"),
)
"""Requests of each framing."""

LARGE = 1000
"""Bytes from which a case of the corpus is about a limit, and no mutation is needed to show more of it."""

REQUESTS = (*OWN * 10, *(case.data for case in CASES if len(case.data) < LARGE))
"""Requests: the corpus, in which each is odd already, and as many that are not."""


BEHIND = (b"", *OWN)
"""What may follow on the same connection."""


def _handshake(*fields: bytes, body: bytes = b"") -> bytes:
    return _request(
        b"GET /chat HTTP/1.1",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
        *fields,
        body=body,
    )


HANDSHAKES = (
    _handshake(),
    _handshake(b"Sec-WebSocket-Protocol: superchat, chat"),
    _handshake(b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"),
    _handshake(b"Origin: http://a", b"Cookie: a=b", b"Sec-WebSocket-Extensions: permessage-deflate"),
)
"""Handshakes that are accepted."""
