"""Opening handshakes at the edges of what is legal, and how each is answered."""

from __future__ import annotations

from typing import NamedTuple

ORDINARY = 200
"""The request does not ask for a WebSocket: the application answers it."""

PLAIN = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
"""The lines of a handshake that is beyond doubt."""


class Edge(NamedTuple):
    """A handshake with ``lines`` in place of the plain lines of the same names, and its answer."""

    group: str
    lines: tuple[str, ...]
    status: int
    why: str
    subprotocol: str | None = None
    compressed: bool = False

    def request(self) -> bytes:
        """Return the request for /service; the service speaks ``chat`` and compresses."""
        names = {name(line) for line in self.lines}
        lines = [line for line in PLAIN if name(line) not in names] + [line for line in self.lines if line]
        return "\r\n".join(["GET /service HTTP/1.1", *lines, "", ""]).encode("latin-1")


def name(line: str) -> str:
    """Return the name in the line of a header field, in lower case."""
    return line.partition(":")[0].lower()


def taken(
    group: str, *lines: str, why: str, subprotocol: str | None = None, compressed: bool = False
) -> Edge:
    """Return a handshake that is accepted."""
    return Edge(group, lines, 101, why, subprotocol, compressed)


def refused(group: str, *lines: str, status: int = 400, why: str) -> Edge:
    """Return a handshake that is refused."""
    return Edge(group, lines, status, why)


UPGRADE, VERSION, ORIGIN = "`Upgrade` and `Connection`", "Version, key and host", "`Origin`"
SUBPROTOCOLS, EXTENSIONS, BODY = "Subprotocols", "Extensions", "A body"

EDGES = [
    taken(UPGRADE, "Upgrade: WebSocket", why="case does not count (RFC 6455, 4.2.1)"),
    taken(UPGRADE, "Connection: keep-alive, Upgrade", why="a list; Firefox sends it"),
    taken(UPGRADE, "Connection: UPGRADE,,", why="empty members do not count (RFC 9110, 5.6.1.2)"),
    taken(UPGRADE, "Connection: keep-alive", "Connection: Upgrade", why="several lines are one list"),
    taken(UPGRADE, "Connection: close, Upgrade", why="after a 101 there is no next request anyway"),
    taken(UPGRADE, "Upgrade: websocket, foo", why="the client leaves the choice to the server"),
    taken(UPGRADE, "Upgrade: h2c", "Upgrade: websocket", why="the same, on two lines"),
    refused(
        UPGRADE, "Upgrade: websocket/13", status=ORDINARY, why="the name of another version (RFC 9110, 7.8)"
    ),
    refused(UPGRADE, 'Upgrade: "websocket"', status=ORDINARY, why="a quoted string is not a token"),
    refused(UPGRADE, "Connection: upgraded", status=ORDINARY, why="another word"),
    refused(
        UPGRADE,
        "Connection: keep-alive",
        status=ORDINARY,
        why="no upgrade is asked for on this hop",
    ),
    taken(
        VERSION,
        "Sec-WebSocket-Version:  13\t",
        why="whitespace around a value is no part of it (RFC 9110, 5.5)",
    ),
    refused(VERSION, "Sec-WebSocket-Version: 13, 8", status=426, why="a request names one version only"),
    refused(VERSION, "Sec-WebSocket-Version: 013", status=426, why="not how the number 13 is written"),
    refused(
        VERSION, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13", why="repeated (RFC 6455, 11.3.5)"
    ),
    taken(
        VERSION, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==", why="unused bits, which decoders may ignore"
    ),
    refused(VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", why="not base64 without its padding"),
    refused(VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==", why="not 16 bytes"),
    taken(VERSION, "Host: server.example.com:", why="an empty port is no port (RFC 3986, 3.2.3)"),
    refused(
        VERSION,
        "Host: a.example",
        "Host: b.example",
        why="a proxy may choose the other one",
    ),
    refused(VERSION, "Host: server.example.com/chat", why="a path is no part of a host"),
    taken(ORIGIN, "Origin: HTTP://Server.Example.com:80", why="the same origin, in another spelling"),
    taken(
        ORIGIN,
        "Origin: http://server.example.com/",
        why="no browser sends the slash, and it makes no other origin",
    ),
    refused(ORIGIN, "Origin: http://server.example.com/chat", status=403, why="a URL is not an origin"),
    refused(
        ORIGIN, "Origin: http://server.example.com:8080", status=403, why="another port is another origin"
    ),
    refused(ORIGIN, "Origin: http://server.example.com.evil.example", status=403, why="another host"),
    refused(
        ORIGIN,
        "Origin: http://evil.example http://server.example.com",
        status=403,
        why="a list is not an origin",
    ),
    refused(ORIGIN, "Origin: null", status=403, why="anybody's sandboxed page, or a local file"),
    refused(ORIGIN, "Origin:", status=403, why="present, but names no origin"),
    refused(
        ORIGIN,
        "Origin: http://server.example.com",
        "Origin: http://evil.example",
        why="repeated (RFC 6454, 7.3)",
    ),
    taken(SUBPROTOCOLS, "Sec-WebSocket-Protocol:", why="an empty list, as libraries write `subprotocols=[]`"),
    taken(SUBPROTOCOLS, "Sec-WebSocket-Protocol: , ,", why="the same"),
    taken(
        SUBPROTOCOLS,
        "Sec-WebSocket-Protocol: other,chat,",
        subprotocol="chat",
        why="a list with an empty member",
    ),
    taken(
        *(SUBPROTOCOLS, "Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: chat"),
        subprotocol="chat",
        why="several lines (RFC 6455, 11.3.4)",
    ),
    taken(
        SUBPROTOCOLS, "Sec-WebSocket-Protocol: chat, chat", subprotocol="chat", why="repetition adds nothing"
    ),
    taken(SUBPROTOCOLS, "Sec-WebSocket-Protocol: Chat", why="another name: here, case counts"),
    refused(SUBPROTOCOLS, 'Sec-WebSocket-Protocol: "chat"', why="a quoted string is not a token"),
    refused(SUBPROTOCOLS, "Sec-WebSocket-Protocol: chat other", why="not a list: a comma is missing"),
    refused(SUBPROTOCOLS, "Sec-WebSocket-Protocol: chat;v=1", why="subprotocols have no parameters"),
    taken(EXTENSIONS, "Sec-WebSocket-Extensions:", why="an empty list"),
    taken(EXTENSIONS, "Sec-WebSocket-Extensions: foo,,", why="unknown extensions are skipped"),
    taken(EXTENSIONS, "Sec-WebSocket-Extensions: x-webkit-deflate-frame", why="what old Safaris offer"),
    taken(
        EXTENSIONS, "Sec-WebSocket-Extensions: permessage-deflate; unknown", why="declined (RFC 7692, 7.1)"
    ),
    taken(
        *(EXTENSIONS, "Sec-WebSocket-Extensions: foo;a=1 , permessage-deflate ; client_max_window_bits"),
        compressed=True,
        why="what browsers offer, with extra spaces",
    ),
    taken(
        *(EXTENSIONS, 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits = "10"'),
        compressed=True,
        why="quotes do not change a value (RFC 6455, 9.1)",
    ),
    taken(
        *(EXTENSIONS, "Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: permessage-deflate"),
        compressed=True,
        why="several lines (RFC 6455, 11.3.2)",
    ),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: f@o", why="not a token (RFC 6455, 9.1)"),
    refused(EXTENSIONS, 'Sec-WebSocket-Extensions: "foo"', why="a name in quotes"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: foo;", why="a semicolon with nothing after it"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: foo;bar=", why="a value is missing"),
    refused(EXTENSIONS, 'Sec-WebSocket-Extensions: foo;bar="b@z"', why="even in quotes, a value is a token"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: permessage-deflate; =", why="a name is missing"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: permessage-deflate, f@o", why="one fault spoils the list"),
    taken(BODY, "Content-Length: 0", why="says that there is no body"),
    refused(BODY, "Content-Length: 5", why="body or frames: what follows could be either"),
    refused(BODY, "Transfer-Encoding: chunked", why="the same"),
]
