"""``geventkws serve`` once the options are known: loads the application and services, makes the servers."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gevent import monkey

from geventkws import ServiceRegistry, WebSocket, WebSocketServer, WebSocketService
from geventkws.cli import logs
from geventkws.cli.errors import ADDRESS, CERTIFICATE, USAGE, Failure, broken, import_extra
from geventkws.cli.health import Health
from geventkws.cli.reference import Reference
from geventkws.cli.site import Site, listening
from geventkws.http.context import Application, no_application
from geventkws.net.listeners import native_socket
from geventkws.server.hooks import Hook

if TYPE_CHECKING:
    from geventkws.metrics import Metrics

Certificate = tuple[str, str | None]


@dataclass(frozen=True)
class Plan:
    """What to serve, how and where."""

    application: Reference | None = None
    services: tuple[tuple[str, Reference], ...] = ()
    binds: tuple[str, ...] = ()
    app_dir: str = "."
    certfile: str | None = None
    keyfile: str | None = None
    certificates: dict[str, Certificate] = field(default_factory=dict)
    metrics: str | None = None
    metrics_bind: str | None = None
    health: str | None = None
    drain_delay: float = 0
    log_level: str | None = None
    log_config: Path | None = None
    access_log: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """The server options that were given."""


def serve(
    plan: Plan, descriptors: Sequence[int] = (), on_ready: Callable[[Site], object] | None = None
) -> None:
    """Patch the standard library, import the modules, and serve until a signal arrives.

    ``descriptors`` are those of sockets that already listen, one for each of ``plan.binds``; ``on_ready`` is
    called with the site before it starts.
    """
    monkey.patch_all()
    logs.configure(plan.log_level, plan.log_config, plan.access_log)
    import_for_metrics(plan)
    application = load(plan)
    listeners = [native_socket(fileno=descriptor) for descriptor in descriptors] or plan.binds
    site = make_site(plan, application, listeners, [] if plan.metrics_bind is None else [plan.metrics_bind])
    if on_ready is not None:
        on_ready(site)
    site.run()


@contextmanager
def open_listeners(plan: Plan) -> Iterator[list[int]]:
    """Listen on ``plan.binds`` without accepting connections; yields the descriptors of the sockets."""
    servers = _listening(plan)
    try:
        yield [server.socket.fileno() for server in servers]
    finally:
        for server in servers:
            server.close()


def listen(plan: Plan) -> list[int]:
    """Listen on ``plan.binds`` for other processes; return the descriptors, which nobody here will close."""
    return [server.socket.detach() for server in _listening(plan)]


def _listening(plan: Plan) -> list[WebSocketServer]:
    servers = _servers(plan, plan.binds, None, _without_hooks(plan))
    try:
        for address, server in zip(plan.binds, servers, strict=True):
            with listening(address):
                server.init_socket()
    except BaseException:
        for server in servers:
            server.close()
        raise
    return servers


def check(plan: Plan) -> None:
    """Raise ``Failure`` for options and certificates that no server would take."""
    _servers(plan, ["127.0.0.1:0"], None, _without_hooks(plan))


def _without_hooks(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in plan.options.items() if not name.startswith("on_")}


def load(plan: Plan) -> Application | None:
    """Import the application and the services; register the services, and return the application."""
    sys.path.insert(0, os.path.abspath(plan.app_dir))
    application = _load_application(plan.application)
    _register(plan.services, application is not None)
    return application


def make_site(
    plan: Plan,
    application: Application | None,
    listeners: Sequence[Any],
    metrics_listeners: Sequence[Any],
    make_server: Callable[..., WebSocketServer] = WebSocketServer,
) -> Site:
    """Return the servers for the listeners, which serve the application and the registered services."""
    metrics = _metrics(plan)
    options = dict(plan.options)
    on_start, on_stop = _hook(options.pop("on_start", None)), _hook(options.pop("on_stop", None))
    health = Health(application or no_application, plan.health) if plan.health else None
    options["metrics"] = metrics
    servers = _servers(plan, listeners, health or application, options, make_server)
    return Site(
        list(zip(plan.binds, servers, strict=False)),
        on_start=on_start,
        on_stop=on_stop,
        health=health,
        drain_delay=plan.drain_delay,
        beside=[_metrics_server(listener, metrics) for listener in metrics_listeners],
    )


def import_for_metrics(plan: Plan) -> bool:
    """Import what the metrics need, if there are to be metrics; return whether there are."""
    if plan.metrics is not None or plan.metrics_bind is not None:
        import_extra("prometheus_client", "prometheus_client", _option_of_metrics(plan), extra="metrics")
        return True
    return False


def _option_of_metrics(plan: Plan) -> str:
    return "--metrics" if plan.metrics_bind is None else "--metrics-bind"


def _metrics(plan: Plan) -> Metrics | None:
    if not import_for_metrics(plan):
        return None
    from geventkws.metrics import Metrics

    try:
        return Metrics(plan.metrics)
    except (ValueError, RuntimeError) as error:
        raise Failure(USAGE, f"{_option_of_metrics(plan)}: {error}") from None


def _metrics_server(listener: Any, metrics: Metrics | None) -> tuple[str, WebSocketServer]:
    application = None if metrics is None else metrics.application
    try:
        return str(listener), WebSocketServer(listener, application, ServiceRegistry())
    except (TypeError, ValueError) as error:
        raise Failure(USAGE, f"--metrics-bind: {error}") from None


def _servers(
    plan: Plan,
    listeners: Sequence[Any],
    application: Application | None,
    options: dict[str, Any],
    make_server: Callable[..., WebSocketServer] = WebSocketServer,
) -> list[WebSocketServer]:
    """Return a server for each listener, all with the same application and the process-wide services."""
    tls: dict[str, Any] = {}
    if plan.certfile is not None:
        tls = {"certfile": plan.certfile, "keyfile": plan.keyfile, "certificates": plan.certificates}
    servers = []
    for listener in listeners:
        try:
            servers.append(
                make_server(listener, application, **tls, **_fitting(options, listener, listeners))
            )
        except OSError as error:
            raise Failure(CERTIFICATE, f"TLS: {error}") from None
        except RuntimeError as error:  # systemd has not passed on a socket
            raise Failure(ADDRESS, f"cannot listen on {listener}: {error}") from None
        except (TypeError, ValueError) as error:
            raise Failure(USAGE, str(error)) from None
    return servers


def _fitting(options: dict[str, Any], listener: Any, listeners: Sequence[Any]) -> dict[str, Any]:
    """Return the options for a listener: those for socket files only if it has one, or if no listener has."""
    if _has_file(listener) or not any(_has_file(each) or not isinstance(each, str) for each in listeners):
        return options
    return {name: value for name, value in options.items() if not name.startswith("unix_socket_")}


def _has_file(listener: Any) -> bool:
    return isinstance(listener, str) and listener.startswith("unix:")


def _load_application(reference: Reference | None) -> Application | None:
    if reference is None:
        return None
    application: object = reference.load("applications", callable)
    if not callable(application):
        raise Failure(USAGE, f"{reference.text!r} is {application!r}, not a WSGI application")
    return application


def _register(services: tuple[tuple[str, Reference], ...], has_application: bool) -> None:
    for path, reference in services:
        service = _load_service(reference)
        try:
            WebSocket.register(service, path)
        except (TypeError, ValueError) as error:
            raise Failure(USAGE, f"--service {path}={reference.text}: {error}") from None
    if not has_application and not WebSocket.services.services:
        raise Failure(
            USAGE, "nothing to serve: give an APP such as app:app, or --service PATH=module:Service"
        )


def _load_service(reference: Reference) -> WebSocketService:
    def is_service(value: object) -> bool:
        return isinstance(value, WebSocketService) or (
            isinstance(value, type) and issubclass(value, WebSocketService) and value is not WebSocketService
        )

    service = reference.load("services", is_service)
    if not is_service(service):
        raise Failure(
            USAGE,
            f"{reference.text!r} is not a service: {service!r} is neither a WebSocketService nor a subclass",
        )
    return _instance(service, reference) if isinstance(service, type) else service


def _instance(service: type[WebSocketService], reference: Reference) -> WebSocketService:
    try:
        inspect.signature(service).bind()
    except TypeError as error:
        raise Failure(
            USAGE, f"{reference.text!r} needs arguments ({error}): add them, as in '{reference.text}(...)'"
        ) from None
    try:
        return service()
    except Exception as error:
        raise broken(reference.text, error) from error


def _hook(reference: Reference | None) -> Hook | None:
    if reference is None:
        return None
    hook: Any = reference.load("functions", callable)
    if not callable(hook):
        raise Failure(USAGE, f"{reference.text!r} is {hook!r}, not a function")
    return cast(Hook, hook)
