"""The API as a WSGI application: who may call it, and what a request looks like."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from geventkws.centrifuge.control import listen
from geventkws.centrifuge.namespaces import Namespace, Namespaces
from geventkws.centrifuge.protocol.errors import ClientError, ErrorCode
from geventkws.centrifuge.protocol.json_codec import load
from geventkws.centrifuge.server_api import results
from geventkws.centrifuge.server_api.methods import Methods
from geventkws.http.context import Application
from geventkws.pubsub import PubSub

MAX_BODY_SIZE = 4 * 1024 * 1024
"""The largest body of a request, in bytes."""

MIN_KEY = 16
"""The fewest characters of a key."""

CODES = {
    HTTPStatus.UNAUTHORIZED: ErrorCode.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND: ErrorCode.METHOD_NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorCode.LIMIT_EXCEEDED,
}
"""The codes of errors that are also a status of HTTP; for others it is 107 (bad request)."""


def api(
    pubsub: PubSub,
    *,
    key: str | Iterable[str],
    namespaces: Mapping[str, Namespace] | None = None,
    max_body_size: int = MAX_BODY_SIZE,
) -> Application:
    """Return a WSGI application with the HTTP API for servers, to be mounted at ``/api`` for example.

    Requests are ``POST /METHOD``, below where it is mounted, with a JSON object; the methods are ``publish``,
    ``broadcast``, ``subscribe``, ``unsubscribe``, ``disconnect``, ``refresh``, ``presence``,
    ``presence_stats``, ``history``, ``history_remove``, ``channels``, ``info`` and ``batch``.

    ``key`` is what callers must have in the header field ``X-API-Key``: a secret of 16 characters or more, or
    several, while one replaces another. With ``namespaces``, those of the service, channels of other
    namespaces are refused, and the channels keep what the namespaces say, in a program without the service
    too. ``max_body_size`` is in bytes.

    Raises ``TypeError`` or ``ValueError`` for a key that is no good.
    """
    if not isinstance(pubsub, PubSub):
        raise TypeError(f"the API takes a PubSub, not {pubsub!r}")
    keys = [*map(_checked, (key,) if isinstance(key, (str, bytes)) else key)]
    if not keys:
        raise ValueError("the API cannot be called without a key: give it one")
    known = None if namespaces is None else Namespaces(namespaces)
    if known is not None:
        known.configure(pubsub)
    listen(pubsub)
    return ServerAPI(Methods(pubsub, known), keys, max_body_size)


def _checked(key: object) -> bytes:
    if not isinstance(key, str):
        raise TypeError(f"the key of the API is a str, or several, not a {type(key).__name__}")
    if len(key) < MIN_KEY or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ValueError(
            f"the key of the API must be {MIN_KEY} or more printable characters of ASCII that nobody can"
            " guess, as secrets.token_urlsafe() makes them"
        )
    return key.encode()


class Refused(Exception):
    """A request is no call of the API."""

    def __init__(self, status: HTTPStatus, problem: str, *headers: tuple[str, str]) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.headers = headers


class ServerAPI:
    """The WSGI application."""

    def __init__(self, methods: Methods, keys: list[bytes], max_body_size: int) -> None:
        self._methods = methods
        self._keys = keys
        self._max_body_size = max_body_size

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status = HTTPStatus.OK
        headers: tuple[tuple[str, str], ...] = ()
        try:
            answer = self._answer(environ)
        except Refused as refused:
            code = CODES.get(refused.status, ErrorCode.BAD_REQUEST)
            status, headers = refused.status, refused.headers
            answer = results.error(ClientError(code, refused.problem))
        body = json.dumps(answer).encode()
        start_response(
            f"{status.value} {status.phrase}",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("Cache-Control", "no-store"),
                *headers,
            ],
        )
        return [body]

    def _answer(self, environ: dict[str, Any]) -> dict[str, Any]:
        if environ["REQUEST_METHOD"] != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "the API is called by POST", ("Allow", "POST"))
        self._check_key(environ.get("HTTP_X_API_KEY", ""))
        name = environ.get("PATH_INFO", "").removeprefix("/")
        if not self._methods.knows(name):
            raise Refused(HTTPStatus.NOT_FOUND, "the API has no such method")
        try:
            values = load(self._body(environ))
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None
        return self._methods.call(name, values)

    def _check_key(self, given: str) -> None:
        """Compare with all keys, in a time that says nothing of how much is right."""
        presented = given.encode("latin-1", "replace")
        matches = [hmac.compare_digest(presented, key) for key in self._keys]
        if not any(matches):
            problem = "X-API-Key is missing or wrong"
            raise Refused(HTTPStatus.UNAUTHORIZED, problem, ("WWW-Authenticate", "X-API-Key"))

    def _body(self, environ: dict[str, Any]) -> bytes:
        length = environ.get("CONTENT_LENGTH") or ""
        if not (length.isascii() and length.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if len(length) > 18 or int(length) > self._max_body_size:
            problem = f"the body is larger than {self._max_body_size} bytes"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)
        body: bytes = environ["wsgi.input"].read(int(length))
        return body
