"""Which service is at a path."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple
from urllib.parse import unquote

from geventkws.service import WebSocketService
from geventkws.service_check import check_service

logger = logging.getLogger("geventkws.server")

Segments = tuple[str | None, ...]
"""A registered path: its literal segments in their normal form, and None for each parameter."""


class _Route(NamedTuple):
    path: str
    parameters: dict[int, str]  # by the index of the segment
    service: WebSocketService


class ServiceRegistry:
    """Services by path.

    A path consists of segments between slashes. Literal segments are compared after percent-decoding and
    without regard to case. A segment ``<name>`` is a parameter, which any non-empty segment matches. If
    several paths match, the one with a literal in the first segment where they differ wins, so that an exact
    path beats a parameter. The slash at the start may be left out when registering; one at the end counts.
    """

    __slots__ = ("_routes", "_shapes")

    def __init__(self) -> None:
        self._routes: dict[Segments, _Route] = {}
        self._shapes: dict[int, list[tuple[int, ...]]] = {}

    def register(self, service: WebSocketService, on_path: str) -> None:
        """Put ``service`` at ``on_path``, such as ``"chat"`` or ``"/rooms/<room>"``, replacing what is there.

        Raises ``TypeError`` or ``ValueError``, whose text says what to write instead, for a service whose
        callbacks or attributes cannot work, and for a path that is empty, has a scheme, a query or a
        fragment, or has a parameter in another notation.
        """
        if isinstance(on_path, WebSocketService):
            raise TypeError("the service comes first: register(service, on_path)")
        check_service(service)
        path = _absolute(on_path)
        _check_path(on_path)
        segments = _segments(path)
        replaced = self._routes.get(segments)
        if replaced is not None and replaced.service is not service:
            logger.warning(
                "%s at %s replaces %s, which was registered there before",
                type(service).__name__,
                path,
                type(replaced.service).__name__,
            )
        self._routes[segments] = _Route(path, _parameters(path), service)
        self._find_shapes()

    def unregister(self, path: str) -> None:
        """Remove the service at ``path``, if there is one; its open connections live on.

        The names of parameters do not matter: ``"/rooms/<room>"`` and ``"/rooms/<name>"`` are the same path.
        """
        self._routes.pop(_segments(_absolute(path)), None)
        self._find_shapes()

    @property
    def services(self) -> Mapping[str, WebSocketService]:
        """The services by path, a read-only copy. Paths are as registered, but always start with a slash."""
        return MappingProxyType({route.path: route.service for route in self._routes.values()})

    def match(self, path: str) -> tuple[WebSocketService, dict[str, str]] | None:
        """Return the service at a request's path, and the values of its parameters; None if there is none.

        ``path`` is as sent, percent-encoded and without the query. A ``%2F`` in it does not separate
        segments.
        """
        route = self._route(path)
        if route is None:
            return None
        if not route.parameters:
            return route.service, {}
        sent = path[1:].split("/")
        return route.service, {name: unquote(sent[index]) for index, name in route.parameters.items()}

    def registered_path(self, path: str) -> str | None:
        """Return the path of the service that ``match`` returns: one of ``services``."""
        route = self._route(path)
        return None if route is None else route.path

    def _route(self, path: str) -> _Route | None:
        if not path.startswith("/"):
            return None
        if "%" not in path and path.isascii():
            literals: Segments = tuple(path[1:].lower().split("/"))
        else:
            literals = tuple(_normal(segment) for segment in path[1:].split("/"))
        route = self._routes.get(literals)
        if route is not None:
            return route
        for shape in self._shapes.get(len(literals), ()):
            route = self._routes.get(_with_parameters(literals, shape))
            if route is not None and all(literals[index] for index in shape):
                return route
        return None

    def _find_shapes(self) -> None:
        # A shape says which segments of a path are parameters. There are few shapes, and for each of them one
        # look-up in the dict finds the path. They are sorted by precedence: a literal comes before a
        # parameter.
        shapes = {(len(segments), tuple(route.parameters)) for segments, route in self._routes.items()}
        by_length: dict[int, list[tuple[int, ...]]] = {}
        for length, shape in sorted(shapes, key=lambda found: _precedence(*found)):
            if shape:
                by_length.setdefault(length, []).append(shape)
        self._shapes = by_length


class WebSocket:
    """The process-wide registry, which a server uses unless it is given another one."""

    services: ClassVar[ServiceRegistry] = ServiceRegistry()

    @classmethod
    def register(cls, service: WebSocketService, on_path: str) -> None:
        """Put ``service`` at ``on_path``; see ``ServiceRegistry.register``."""
        cls.services.register(service, on_path)

    @classmethod
    def unregister(cls, path: str) -> None:
        """Remove the service at ``path``; see ``ServiceRegistry.unregister``."""
        cls.services.unregister(path)


def _absolute(path: str) -> str:
    if not isinstance(path, str):
        raise TypeError(f"a path must be a str, not {path!r}")
    return path if path.startswith("/") else f"/{path}"


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)
_OTHER_PARAMETER = re.compile(r"\{(\w*)[^}]*\}|^:(\w+)$")
"""Parameters as other libraries write them: ``{room}``, ``{room:int}``, ``:room``."""


def _check_path(path: str) -> None:
    """Refuse a path that no request could have, and say what to write instead."""
    if not path:
        raise ValueError("the path is empty: write '/' for the root")
    scheme = _SCHEME.match(path)
    if scheme:
        raise ValueError(
            f"path {path!r} is a URL: write {path[scheme.end() :] or '/'!r}, without {scheme[0]!r}"
        )
    _parameters(_absolute(path))
    for segment in path.split("/"):
        other = _OTHER_PARAMETER.search(segment)
        if other:
            name = other[1] or other[2] or "name"
            raise ValueError(f"path {path!r}: a parameter is written '<{name}>', not {segment!r}")
    for mark, kind, remedy in (
        ("#", "a fragment, which no client sends", "leave it out"),
        ("?", "a query", "leave it out, and read connection.request.query"),
    ):
        if mark in path:
            raise ValueError(f"path {path!r} has {kind}: {remedy}")


def _segments(path: str) -> Segments:
    return tuple(None if _is_parameter(segment) else _normal(segment) for segment in path[1:].split("/"))


def _is_parameter(segment: str) -> bool:
    return segment.startswith("<") and segment.endswith(">")


def _parameters(path: str) -> dict[int, str]:
    parameters: dict[int, str] = {}
    for index, segment in enumerate(path[1:].split("/")):
        if "<" not in segment and ">" not in segment:
            continue
        name = segment[1:-1]
        if not _is_parameter(segment) or not name.isidentifier():
            raise ValueError(f"path {path!r}: a parameter is a whole segment like '<room>', not {segment!r}")
        if name in parameters.values():
            raise ValueError(f"path {path!r} has two parameters called {name!r}")
        parameters[index] = name
    return parameters


def _normal(segment: str) -> str:
    return unquote(segment).casefold()


def _with_parameters(literals: Segments, shape: tuple[int, ...]) -> Segments:
    segments = list(literals)
    for index in shape:
        segments[index] = None
    return tuple(segments)


def _precedence(length: int, shape: tuple[int, ...]) -> list[bool]:
    return [index in shape for index in range(length)]
