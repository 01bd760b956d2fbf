"""``Sockets``: routes of a Flask application or blueprint that open WebSockets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack
from weakref import WeakSet

from flask.sansio.scaffold import Scaffold

from geventkws.flask.functions import function_view
from geventkws.flask.services import View, service_view
from geventkws.service import ServiceAttributes, WebSocketService
from geventkws.service_check import ATTRIBUTES, check_service

Function = TypeVar("Function", bound=Callable[..., Any])
Service = TypeVar("Service", bound="WebSocketService | type[WebSocketService]")


class RuleOptions(TypedDict, total=False):
    """The options of a rule (``werkzeug.routing.Rule``) that a WebSocket may have."""

    defaults: Mapping[str, Any] | None
    subdomain: str | None
    host: str | None
    strict_slashes: bool | None
    merge_slashes: bool | None
    redirect_to: str | Callable[..., str] | None
    alias: bool
    build_only: bool


class RouteOptions(RuleOptions, ServiceAttributes, total=False):
    """The options of ``Sockets.route``."""


class _Route(NamedTuple):
    rule: str
    endpoint: str
    view: View
    options: dict[str, Any]


class Sockets:
    """Adds routes that open WebSockets to a Flask application or a blueprint.

    ``app`` may be given later, by ``init_app``, which can be called for several. ``url_prefix`` is put in
    front of every rule. Rules are Flask's own: converters, ``url_for``, ``before_request``, the session and
    the error handlers apply as for every view, before the handshake is answered.
    """

    def __init__(self, app: Scaffold | None = None, url_prefix: str = "") -> None:
        self._url_prefix = url_prefix
        self._routes: list[_Route] = []
        self._apps: WeakSet[Scaffold] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Scaffold) -> None:
        """Add the routes to an application or a blueprint, including routes defined later."""
        self._apps.add(app)
        for route in self._routes:
            _add(app, route)

    def route(
        self, rule: str, *, endpoint: str | None = None, **options: Unpack[RouteOptions]
    ) -> Callable[[Function], Function]:
        """Decorate a function that is called for each connection, with the connection and the rule's values.

        The function takes the messages itself: by ``receive(timeout)``, which raises ``TimeoutError``, or in
        ``for message in connection:``. It runs within its request, with ``request``, ``session`` and ``g``,
        until it returns; then the connection closes with 1000. The handshake is answered when the function
        first uses the connection. Until then, a refusal by a decorator such as ``login_required`` is an
        ordinary response, and exceptions go to the application's error handlers. Afterwards, an exception is
        logged by ``app.logger``, and closes the connection with 1011.

        ``endpoint`` is the function's name by default. ``options`` are those of a rule, or attributes of a
        ``WebSocketService``, such as ``allowed_origins``.

        Raises ``TypeError`` or ``ValueError`` for a function or option that cannot work.
        """
        _check_rule("route", rule)

        def decorate(function: Function) -> Function:
            _check_function(function)
            attributes = {name: value for name, value in options.items() if name in ATTRIBUTES}
            others = {name: value for name, value in options.items() if name not in ATTRIBUTES}
            self._add(rule, endpoint or function.__name__, function_view(function, attributes), others)
            return function

        return decorate

    def service(
        self,
        rule: str,
        *,
        endpoint: str | None = None,
        decorators: Iterable[Callable[[View], View]] = (),
        request_context: bool = False,
        **options: Unpack[RuleOptions],
    ) -> Callable[[Service], Service]:
        """Decorate a service class, of which one instance is made; or call the result with an instance.

        A connection's ``path_params`` are the values of the rule. ``connecting`` is called within the
        request, and each other callback within an application context of its own, or, with
        ``request_context``, within a copy of the handshake's request context, which every connection then
        keeps for life. ``decorators`` are applied to the view, as with ``flask.views.View``:
        ``[login_required]``. ``endpoint`` is the name of the class by default, and ``options`` are those of
        the rule.

        Raises ``TypeError`` or ``ValueError`` for a service that cannot work.
        """
        _check_rule("service", rule)

        def decorate(service: Service) -> Service:
            instance = check_service(service() if isinstance(service, type) else service)
            name = endpoint or type(instance).__name__
            view = service_view(name, instance, request_context)
            for decorator in decorators:
                view = decorator(view)
            self._add(rule, name, view, dict(options))
            return service

        return decorate

    def _add(self, rule: str, endpoint: str, view: View, options: dict[str, Any]) -> None:
        if self._url_prefix:
            rule = f"{self._url_prefix.rstrip('/')}/{rule.lstrip('/')}"
        route = _Route(rule, endpoint, view, {"methods": ["GET"], **options, "websocket": True})
        self._routes.append(route)
        for app in self._apps:
            _add(app, route)


def _add(app: Scaffold, route: _Route) -> None:
    app.add_url_rule(route.rule, route.endpoint, route.view, **route.options)


def _check_rule(name: str, rule: object) -> None:
    if not isinstance(rule, str):
        raise TypeError(f'write @sockets.{name}("/path"), with the rule; got {rule!r}')


def _check_function(function: Callable[..., Any]) -> None:
    if isinstance(function, type):
        raise TypeError(f"route() is for functions: use @sockets.service for the class {function.__name__}")
    inner = inspect.unwrap(function)
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise TypeError(f"{function.__name__} must be an ordinary function, not async def: it may block")
    if inspect.isgeneratorfunction(inner):
        raise TypeError(f"{function.__name__} must not yield: send messages with connection.send")
