"""What gunicorn's settings mean to a server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter, signature
from typing import Any

from geventkws.options import ServerOptions
from geventkws.server.server import WebSocketServer

EVERYBODY = ("0.0.0.0/0", "::/0")
"""What gunicorn writes as ``*``."""

DEFAULT_KEEPALIVE = 2
"""gunicorn's default, in seconds. It suits workers that an idle connection keeps busy, unlike ours."""

LAST_SECONDS = 2.0
"""The most seconds that a server takes beyond its time to stop: gunicorn kills at ``graceful_timeout``."""


NAMED = frozenset(
    name
    for name, parameter in signature(WebSocketServer).parameters.items()
    if parameter.kind is Parameter.KEYWORD_ONLY
) | {"services"}
"""The keywords of a server that are not ``ServerOptions``."""


def server_keywords(cfg: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a server for gunicorn's configuration; those ``given`` override it."""
    keywords: dict[str, Any] = {
        "max_connections": cfg.worker_connections,
        "max_head_fields": cfg.limit_request_fields,
        "trusted_proxies": tuple(_trusted_proxies(cfg)),
        "proxy_protocol": cfg.proxy_protocol not in (False, "off"),
        "stop_timeout": stop_timeout(cfg),
    }
    if not cfg.keepalive:
        keywords["max_requests"] = 1
    elif cfg.keepalive != DEFAULT_KEEPALIVE:
        keywords["keepalive_timeout"] = cfg.keepalive
    keywords.update(given)
    if cfg.is_ssl:
        from gunicorn.sock import ssl_context

        keywords["ssl_context"] = ssl_context(cfg)
    return keywords


def stop_timeout(cfg: Any) -> float:
    """Return how long a server may take to stop, so that it ends within gunicorn's ``graceful_timeout``."""
    return max(cfg.graceful_timeout - LAST_SECONDS, cfg.graceful_timeout / 2) or 0.1


def check(keywords: Mapping[str, Any], graceful_timeout: float) -> None:
    """Raise ``RuntimeError``, which gunicorn shows as one line, for options that make no sense."""
    window = keywords.get("drain_window")
    if isinstance(window, (int, float)) and window > graceful_timeout:
        raise RuntimeError(
            f"option 'drain_window' must not be longer than gunicorn's graceful_timeout,"
            f" {graceful_timeout:g} s, not {window:g} s"
        )
    try:
        ServerOptions.from_keywords({name: value for name, value in keywords.items() if name not in NAMED})
    except (TypeError, ValueError) as error:
        raise RuntimeError(str(error)) from None


def do_without_control_socket(cfg: Any) -> None:
    """Turn off what gunicorn 25 and later would serve in a separate thread: threads are patched."""
    if "control_socket_disable" in cfg.settings:
        cfg.set("control_socket_disable", True)


def _trusted_proxies(cfg: Any) -> Iterator[str]:
    yield "unix"  # gunicorn trusts whoever may connect to a Unix-domain socket
    allowed = set(cfg.forwarded_allow_ips)
    if cfg.proxy_protocol not in (False, "off"):
        allowed |= set(cfg.proxy_allow_ips)
    if "*" in allowed:
        yield from EVERYBODY
    yield from sorted(map(str, allowed - {"*"}))
