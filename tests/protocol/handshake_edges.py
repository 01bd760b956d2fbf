"""Opening handshakes at the edges of what is legal, and how each is decided."""

from __future__ import annotations

from typing import NamedTuple

ORDINARY = 200
"""The request is none for a WebSocket: the application answers it."""

PLAIN = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
]
"""The lines of a handshake that nobody could object to."""


class Edge(NamedTuple):
    """A handshake that has ``lines`` in place of those of the same names, and its answer."""

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
    """Return the name of a header field's line, in lower case."""
    return line.partition(":")[0].lower()


def taken(
    group: str, *lines: str, why: str, subprotocol: str | None = None, compressed: bool = False
) -> Edge:
    """Return a handshake that is accepted."""
    return Edge(group, lines, 101, why, subprotocol, compressed)


def refused(group: str, *lines: str, status: int = 400, why: str) -> Edge:
    """Return a handshake that is not."""
    return Edge(group, lines, status, why)


UPGRADE, VERSION, ORIGIN = "`Upgrade` and `Connection`", "Version, key and host", "`Origin`"
SUBPROTOCOLS, EXTENSIONS, BODY = "Subprotocols", "Extensions", "A body"

EDGES = [
    taken(UPGRADE, "Upgrade: WebSocket", why="case does not count (RFC 6455, 4.2.1)"),
    taken(UPGRADE, "Connection: keep-alive, Upgrade", why="a list; Firefox sends it"),
    taken(UPGRADE, "Connection: UPGRADE,,", why="empty members do not count (RFC 9110, 5.6.1.2)"),
    taken(UPGRADE, "Connection: keep-alive", "Connection: Upgrade", why="several lines are one list"),
    taken(UPGRADE, "Connection: close, Upgrade", why="after a 101 there is no next request in any case"),
    taken(UPGRADE, "Upgrade: websocket, foo", why="the client leaves the choice to the server"),
    taken(UPGRADE, "Upgrade: h2c", "Upgrade: websocket", why="the same, on two lines"),
    refused(
        UPGRADE, "Upgrade: websocket/13", status=ORDINARY, why="the name of another version (RFC 9110, 7.8)"
    ),
    refused(UPGRADE, 'Upgrade: "websocket"', status=ORDINARY, why="a string is no token"),
    refused(UPGRADE, "Connection: upgraded", status=ORDINARY, why="another word"),
    refused(
        UPGRADE,
        "Connection: keep-alive",
        status=ORDINARY,
        why="nothing is to be upgraded on this hop",
    ),
    taken(VERSION, "Sec-WebSocket-Version:  13\t", why="space around a value is none of it (RFC 9110, 5.5)"),
    refused(VERSION, "Sec-WebSocket-Version: 13, 8", status=426, why="a request names one version"),
    refused(VERSION, "Sec-WebSocket-Version: 013", status=426, why="not the number 13 as it is written"),
    refused(
        VERSION, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13", why="repeated (RFC 6455, 11.3.5)"
    ),
    taken(
        VERSION, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==", why="spare bits, which decoders may ignore"
    ),
    refused(VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", why="without padding it is not base64"),
    refused(VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==", why="not 16 bytes"),
    taken(VERSION, "Host: server.example.com:", why="an empty port is none (RFC 3986, 3.2.3)"),
    refused(
        VERSION,
        "Host: a.example",
        "Host: b.example",
        why="which of them was meant, a proxy may see otherwise",
    ),
    refused(VERSION, "Host: server.example.com/chat", why="a path is no part of a host"),
    taken(ORIGIN, "Origin: HTTP://Server.Example.com:80", why="the same origin, in another spelling"),
    taken(
        ORIGIN, "Origin: http://server.example.com/", why="a slash names no other origin; no browser sends it"
    ),
    refused(ORIGIN, "Origin: http://server.example.com/chat", status=403, why="a URL is no origin"),
    refused(
        ORIGIN, "Origin: http://server.example.com:8080", status=403, why="another port is another origin"
    ),
    refused(ORIGIN, "Origin: http://server.example.com.evil.example", status=403, why="another host"),
    refused(
        ORIGIN,
        "Origin: http://evil.example http://server.example.com",
        status=403,
        why="a list: not one origin",
    ),
    refused(ORIGIN, "Origin: null", status=403, why="a sandboxed page, or a file, of anybody"),
    refused(ORIGIN, "Origin:", status=403, why="it is there, and names nobody"),
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
    taken(SUBPROTOCOLS, "Sec-WebSocket-Protocol: Chat", why="another name: case counts here"),
    refused(SUBPROTOCOLS, 'Sec-WebSocket-Protocol: "chat"', why="a string is no token"),
    refused(SUBPROTOCOLS, "Sec-WebSocket-Protocol: chat other", why="not a list: a comma is missing"),
    refused(SUBPROTOCOLS, "Sec-WebSocket-Protocol: chat;v=1", why="subprotocols have no parameters"),
    taken(EXTENSIONS, "Sec-WebSocket-Extensions:", why="an empty list"),
    taken(EXTENSIONS, "Sec-WebSocket-Extensions: foo,,", why="unknown ones are passed over"),
    taken(EXTENSIONS, "Sec-WebSocket-Extensions: x-webkit-deflate-frame", why="what old Safaris offer"),
    taken(
        EXTENSIONS, "Sec-WebSocket-Extensions: permessage-deflate; unknown", why="declined (RFC 7692, 7.1)"
    ),
    taken(
        *(EXTENSIONS, "Sec-WebSocket-Extensions: foo;a=1 , permessage-deflate ; client_max_window_bits"),
        compressed=True,
        why="what browsers offer, between spaces",
    ),
    taken(
        *(EXTENSIONS, 'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits = "10"'),
        compressed=True,
        why="in quotes a value is the same (RFC 6455, 9.1)",
    ),
    taken(
        *(EXTENSIONS, "Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: permessage-deflate"),
        compressed=True,
        why="several lines (RFC 6455, 11.3.2)",
    ),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: f@o", why="no token (RFC 6455, 9.1)"),
    refused(EXTENSIONS, 'Sec-WebSocket-Extensions: "foo"', why="a name in quotes"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: foo;", why="a semicolon with nothing behind it"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: foo;bar=", why="a value is missing"),
    refused(EXTENSIONS, 'Sec-WebSocket-Extensions: foo;bar="b@z"', why="in quotes, too, a value is a token"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: permessage-deflate; =", why="a name is missing"),
    refused(EXTENSIONS, "Sec-WebSocket-Extensions: permessage-deflate, f@o", why="one fault spoils the list"),
    taken(BODY, "Content-Length: 0", why="says that there is none"),
    refused(BODY, "Content-Length: 5", why="body or frames: what follows could be either"),
    refused(BODY, "Transfer-Encoding: chunked", why="the same"),
]
