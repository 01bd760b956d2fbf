"""Checks a server's arguments when it is made; says where and how it serves when it starts."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any

from gevent import monkey

from geventkws.backend import BACKEND
from geventkws.net.certificates import Path
from geventkws.net.listeners import SYSTEMD, UNIX_PREFIX
from geventkws.options import Options
from geventkws.protocol.origin import MAX_PORT
from geventkws.registry import ServiceRegistry, WebSocket
from geventkws.server.observer import Observer
from geventkws.service import WebSocketService
from geventkws.service_check import can_take

logger = logging.getLogger("geventkws.server")

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""How the commands that serve write the lines of the log."""

_TLS = "TLS needs certfile or ssl_context"


class ServerKeywords(Options, total=False):
    """The keywords of ``WebSocketServer`` apart from what it serves, for those who pass them on."""

    backlog: int | None
    spawn: Any
    keyfile: Path | None
    certfile: Path | None
    certificates: Mapping[str, tuple[Path, Path | None]] | None
    ssl_context: ssl.SSLContext | None
    metrics: Observer | None


# What is given


def check_services(services: object) -> ServiceRegistry:
    """Return the registry to use, the process-wide one for ``None``; ``TypeError`` for anything else."""
    if services is None:
        return WebSocket.services
    if isinstance(services, ServiceRegistry):
        return services
    if services is WebSocket:
        raise TypeError("services must be a ServiceRegistry: leave it out, or write WebSocket.services")
    raise TypeError(
        f"services must be a ServiceRegistry, not {services!r}: make one with ServiceRegistry(), and put each"
        " service in it with its register(service, on_path)"
    )


def check_application(application: object) -> None:
    """Raise ``TypeError`` for anything but a WSGI application (PEP 3333)."""
    is_service = isinstance(application, WebSocketService) or (
        isinstance(application, type) and issubclass(application, WebSocketService)
    )
    if is_service or isinstance(application, ServiceRegistry):
        raise TypeError(
            f"application must be a WSGI application, not {application!r}: services are registered"
            " with WebSocket.register(service, on_path)"
        )
    if application is not None and not callable(application):
        raise TypeError(f"application must be a WSGI application or None, not {application!r}")
    for function in (application, inspect.getattr_static(type(application), "__call__", None)):
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"application must be a WSGI application, not an ASGI one, {application!r}: it is called as"
                " application(environ, start_response)"
            )
    if callable(application) and not can_take(application, 2):
        raise TypeError(
            f"application {application!r} cannot take its arguments: a WSGI application is called as"
            " application(environ, start_response)"
        )


def check_spawn(spawn: object) -> None:
    """Raise ``TypeError`` or ``ValueError`` for anything that does not make greenlets."""
    if isinstance(spawn, int) and not isinstance(spawn, bool):
        if spawn < 1:
            raise ValueError(f"spawn must be at least 1, the number of requests at a time, not {spawn}")
    elif spawn != "default" and not callable(spawn) and not hasattr(spawn, "spawn"):
        raise TypeError(f"spawn must be a callable, a pool or a number of greenlets, not {spawn!r}")


def check_backlog(backlog: object) -> None:
    """Raise ``TypeError`` for anything but a number of connections."""
    if isinstance(backlog, bool) or not isinstance(backlog, (int, NoneType)):
        raise TypeError(f"backlog must be a number of connections or None, not {backlog!r}")


def check_files(certfile: object, keyfile: object, certificates: object, ssl_context: object) -> None:
    """Raise ``TypeError`` for arguments about TLS that do not go together."""
    if certfile is not None and ssl_context is not None:
        raise TypeError("give either certfile and keyfile or ssl_context, not both")
    if keyfile is not None and certfile is None:
        raise TypeError("keyfile needs certfile: the certificate that the key belongs to")
    if certificates is not None and certfile is None:
        raise TypeError("certificates needs certfile: the certificate of all other names")


def check_listener(listener: object) -> None:
    """Raise ``TypeError`` or ``ValueError``, with what to write, for what a server cannot listen on."""
    if hasattr(listener, "accept"):
        if hasattr(listener, "fileno"):
            _check_socket(listener)
    elif isinstance(listener, tuple):
        _check_address(listener)
    elif isinstance(listener, str):
        _check_text(listener)
    elif isinstance(listener, int) and not isinstance(listener, bool):
        _check_port(listener, listener)
    elif isinstance(listener, os.PathLike):
        raise TypeError(f"listener must not be a path: write '{UNIX_PREFIX}{os.fspath(listener)}'")
    else:
        hint = f": write {tuple(listener)!r}" if isinstance(listener, list) else ""
        raise TypeError(
            f"listener must be (host, port), 'host:port', '{UNIX_PREFIX}/path', '{SYSTEMD}' or a socket,"
            f" not {listener!r}{hint}"
        )


def _check_socket(listener: Any) -> None:
    if listener.fileno() < 0:
        raise ValueError(f"listener must be open, not {listener!r}")
    if hasattr(listener, "do_handshake"):
        raise TypeError(f"listener must be a plain socket, not {listener!r}: {_TLS}")
    if listener.type != socket.SOCK_STREAM:
        raise ValueError(f"listener must be a stream socket, not {listener!r}")
    if hasattr(socket, "SO_ACCEPTCONN") and not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ValueError(f"listener must listen: call listen() on it first, {listener!r}")


def _check_address(listener: tuple[Any, ...]) -> None:
    if len(listener) not in (2, 4):  # IPv6 has a flow label and a scope, too
        raise ValueError(f"listener must be (host, port), not {listener!r}")
    host, port = listener[:2]
    if not isinstance(host, str):
        swapped = f": write {(port, host)!r}" if isinstance(port, str) and isinstance(host, int) else ""
        raise TypeError(f"listener {listener!r}: the host must be a str, '' for every address{swapped}")
    if isinstance(port, str) and port.isdecimal():
        raise TypeError(f"listener {listener!r}: the port must be an int: write {(host, int(port))!r}")
    _check_port(listener, port)
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"listener {listener!r}: {host!r} is not a host name") from error


def _check_port(listener: object, port: object) -> None:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"listener {listener!r}: the port must be an int, not {port!r}")
    if not 0 <= port <= MAX_PORT:
        raise ValueError(f"listener {listener!r}: the port must be from 0 (a free one) to {MAX_PORT}")


def _check_text(listener: str) -> None:
    if listener.startswith(UNIX_PREFIX) or listener.partition(":")[0] == SYSTEMD:
        return
    if "://" in listener:
        raise ValueError(f"listener {listener!r} is a URL: write 'host:port'; {_TLS}")
    if listener.startswith(("/", "./", "@")):
        raise ValueError(f"listener {listener!r}: for a Unix socket write '{UNIX_PREFIX}{listener}'")
    host, colon, port = listener.rpartition(":")
    if not port.isdecimal():
        text = listener.rstrip(":") if colon and not port else listener
        raise ValueError(f"listener {listener!r} has no port: write '{text}:8080'")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"listener {listener!r}: write an IPv6 address in brackets, '[{host}]:{port}'")
    _check_port(listener, int(port))


# What is said


def announce(listener: socket.socket, *, secure: bool) -> None:
    """Log where a server listens and what it speaks; without a log, say it on stderr.

    Warn, once, if the standard library will block.
    """
    protocols = "wss and https" if secure else "ws and http"
    line = f"Listening on {_where(listener)}: {protocols}, {BACKEND} backend"
    if logger.hasHandlers():
        logger.info("%s", line)
    elif sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)
    if not _warned:
        warning = _patching_mistake()
        if warning is not None:
            _warned.append(warning)
            logger.warning("%s", warning)


def _where(listener: socket.socket) -> str:
    address = listener.getsockname()
    if not isinstance(address, tuple):
        return f"{UNIX_PREFIX}{os.fsdecode(address)}".replace("\0", "@")
    host, port = address[:2]
    return f"port {port} of {'every address' if host in ('::', '0.0.0.0') else host}"


_warned: list[str] = []

_FIRST_LINES = """Put these two lines first in your program:
    from gevent import monkey
    monkey.patch_all()"""

_BLOCKING = {
    "time": ["sleep"],
    "socket": ["socket", "create_connection", "getaddrinfo"],
    "select": ["select"],
    "subprocess": ["Popen"],
}
"""The blocking functions of the modules that gevent patches."""

_KNOWING = {"gevent", "geventkws", "greenlet", "_pytest", "gunicorn"}
"""Packages that use the unpatched functions for good reason: they block outside of callbacks."""


def _patching_mistake() -> str | None:
    """Return a warning if gevent has not patched the standard library, or not in time."""
    if not monkey.is_module_patched("socket"):
        return (
            "The standard library's sockets are not patched for gevent: whatever blocks in a callback or in"
            f" the application (requests, a database, time.sleep) will block the whole server. {_FIRST_LINES}"
        )
    unpatched = list(_unpatched_names())
    if not unpatched:
        return None
    more = f" and {len(unpatched) - 1} more" if len(unpatched) > 1 else ""
    return (
        f"The standard library was patched for gevent too late: {unpatched[0]}{more} had been imported"
        f" before, and will block the whole server. {_FIRST_LINES}"
    )


def _unpatched_names() -> Iterator[str]:
    """Yield the names under which modules hold blocking functions from before the patching."""
    originals = {
        id(monkey.get_original(module, name)): f"{module}.{name}"
        for module, names in _BLOCKING.items()
        if monkey.is_module_patched(module)
        for name in names
    }
    # Some modules have two names: multiprocessing calls __main__ also __mp_main__.
    modules = {id(module): (name, module) for name, module in reversed(list(sys.modules.items()))}
    for module_name, module in reversed(modules.values()):
        package = module_name.partition(".")[0]
        if package not in _KNOWING and package not in sys.stdlib_module_names:
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if id(value) in originals:
                    yield f"{module_name}.{name} ({originals[id(value)]})"
