"""The request that opened a connection, as services see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from geventkws.net.address import Address
from geventkws.net.client_certificate import PEER_CERTIFICATE
from geventkws.protocol.headers import Headers
from geventkws.protocol.tokens import OWS


class RequestHead(Protocol):
    """What a request keeps of the head of an HTTP request; all text in it is decoded as Latin-1."""

    @property
    def method(self) -> str:
        """The method as sent."""

    @property
    def target(self) -> str:
        """The request target as sent (RFC 9112, 3.2)."""

    @property
    def version(self) -> str:
        """The HTTP version, such as ``"1.1"``."""

    @property
    def headers(self) -> Iterable[tuple[str, str]]:
        """The header fields as (name, value), in the order of their lines."""


class QueryParameters(Mapping[str, str]):
    """The parameters of a query string, immutable. An item is the first value; ``get_all`` returns all."""

    __slots__ = ("_values", "pairs")

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name, []).append(value)

    def get_all(self, name: str) -> list[str]:
        """Return every value of ``name``, in order; an empty list if there is none."""
        return list(self._values.get(name, ()))

    def __getitem__(self, name: str) -> str:
        return self._values[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return self._values == other._values if isinstance(other, QueryParameters) else NotImplemented

    def __repr__(self) -> str:
        return f"QueryParameters({list(self.pairs)!r})"


class Request:
    """The HTTP request that opened a connection: ``connection.request``.

    A connection keeps its request for life, and most requests are never used. So the head and the peer's
    address are packed into one ``bytes``, and each attribute is extracted anew: to use one in a loop, keep it
    in a variable.
    """

    __slots__ = ("_build_environ", "_packed")

    # method SP target SP version LF *( name ":" value LF ) LF [ port ] SP host-or-path
    # A head has no LF of its own; what follows the empty line may have one.
    _packed: bytes
    _build_environ: Callable[[Request], dict[str, Any]]

    @classmethod
    def from_head(
        cls,
        head: RequestHead,
        remote_address: Address,
        build_environ: Callable[[Request], dict[str, Any]],
    ) -> Request:
        """Make a request from the head of an HTTP request.

        If ``remote_address`` is a tuple, its host and port are kept. ``build_environ`` makes the WSGI environ
        when it is asked for. Raises ``ValueError`` for a line feed within a line of the head.
        """
        lines = [f"{head.method} {head.target} {head.version}"]
        lines += [f"{name}:{value}" for name, value in head.headers]
        packed = "\n".join(lines)
        if packed.count("\n") != len(lines) - 1:
            raise ValueError("a line of the request head has a line feed, which its parser should refuse")
        if isinstance(remote_address, str):
            peer = f" {remote_address}"
        else:
            peer = f"{remote_address[1]} {remote_address[0]}"
        request = cls.__new__(cls)
        request._packed = b"%b\n\n%b" % (packed.encode("latin-1"), peer.encode("utf-8", "surrogateescape"))
        request._build_environ = build_environ
        return request

    def _request_line(self) -> tuple[str, str, str]:
        method, _, rest = self._packed.partition(b"\n")[0].decode("latin-1").partition(" ")
        target, _, version = rest.rpartition(" ")
        return method, target, version

    @property
    def method(self) -> str:
        """The method, ``"GET"`` for every accepted connection."""
        return self._request_line()[0]

    @property
    def target(self) -> str:
        """The request target as sent: path and query, percent-encoded."""
        return self._request_line()[1]

    @property
    def version(self) -> str:
        """The HTTP version, such as ``"1.1"``."""
        return self._request_line()[2]

    @property
    def path(self) -> str:
        """The path, percent-decoded; bytes that are not UTF-8 become U+FFFD."""
        return unquote(_utf8(split_target(self.target)[0]))

    @property
    def query(self) -> QueryParameters:
        """The parameters of the query, percent-decoded; a parameter without a value has an empty one."""
        query = split_target(self.target)[1]
        return QueryParameters(parse_qsl(_utf8(query), keep_blank_values=True))

    @property
    def headers(self) -> Headers:
        """The header fields."""
        lines = self._packed.partition(b"\n\n")[0].decode("latin-1").split("\n")
        fields = (line.partition(":") for line in lines[1:])
        return Headers((name, value) for name, _, value in fields)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name (RFC 6265, 4.2); of several with one name, the first, whose path is longest."""
        cookies: dict[str, str] = {}
        for line in self.headers.get_all("Cookie"):
            for pair in line.split(";"):
                name, separator, value = pair.partition("=")
                if separator and (name := name.strip(OWS)):
                    cookies.setdefault(_utf8(name), _cookie_value(value.strip(OWS)))
        return cookies

    @property
    def remote_address(self) -> Address:
        """The peer's (host, port), or the path of its Unix-domain socket, ``""`` if that has none."""
        peer = self._packed.partition(b"\n\n")[2].decode("utf-8", "surrogateescape")
        port, _, host = peer.partition(" ")
        return (host, int(port)) if port else host

    @property
    def peer_certificate(self) -> dict[str, Any] | None:
        """The TLS client's certificate as returned by ``ssl.SSLSocket.getpeercert``; None if it gave none.

        Clients are asked for a certificate only if the server's ``ssl_context`` says so; it has been
        verified.
        """
        certificate: dict[str, Any] | None = self.environ.get(PEER_CERTIFICATE)
        return certificate

    @property
    def environ(self) -> dict[str, Any]:
        """A new WSGI environ for the request (PEP 3333), for code that needs one; its body is empty."""
        return self._build_environ(self)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target!r} from {self.remote_address!r}>"


def split_target(target: str) -> tuple[str, str]:
    """Return the path and the query of a request target, both still percent-encoded (RFC 9112, 3.2).

    From the absolute form, scheme and authority are removed. ``*`` and an authority are returned as the path.
    """
    resource, _, query = target.partition("?")
    if not resource.startswith("/"):
        _, separator, hierarchy = resource.partition("://")
        if separator:
            resource = "/" + hierarchy.partition("/")[2]
    return resource, query


def _utf8(text: str) -> str:
    # Heads are decoded as Latin-1, one character per byte (PEP 3333), but today the bytes are UTF-8.
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


_COOKIE_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)


def _cookie_value(value: str) -> str:
    # A value that a cookie cannot hold is written by Python's http.cookies, and so by Django and Flask, as a
    # quoted string with octal escapes of its UTF-8.
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return _utf8(value)
    return _COOKIE_ESCAPE.sub(_unescaped, value[1:-1].encode("latin-1")).decode("utf-8", "replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    return bytes((int(escaped, 8),)) if len(escaped) == 3 else escaped
