"""The forms a request target may have (RFC 9112, 3.2)."""

from __future__ import annotations

from geventkws.http.errors import HTTPError
from geventkws.http.framing import SEVERAL_HOSTS, valid_host

ALLOWED = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
"""The ``Allow`` field of the server's own answers."""

Fields = tuple[tuple[str, str], ...]


def normalise(method: str, target: str, headers: Fields) -> tuple[str, Fields]:
    """Return the target in origin form (or ``*``) and the header fields, or refuse it (``HTTPError`` 400).

    The authority of an absolute-form target replaces ``Host`` (RFC 9112, 3.2.2).
    """
    if target == "*":
        if method != "OPTIONS":
            raise HTTPError(400, "Only OPTIONS may have the target *")
        return target, headers
    scheme, separator, rest = target.partition("://")
    if "#" in target or not separator or scheme.lower() not in ("http", "https"):
        raise HTTPError(400, "The request target is malformed")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority or not valid_host(authority):
        raise HTTPError(400, "The request target's authority is malformed")
    if sum(name.lower() == "host" for name, _ in headers) > 1:
        raise HTTPError(400, SEVERAL_HOSTS)
    others = [(name, value) for name, value in headers if name.lower() != "host"]
    return path if path.startswith("/") else "/" + path, (("Host", authority), *others)
