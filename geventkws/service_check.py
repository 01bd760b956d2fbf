"""What a service must be, checked when it is registered.

A mistake is reported where it is made, with the class, the name and what to write instead. Only what cannot
work is refused: further methods and attributes are the service's own business, unless their names look
misspelt.
"""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Collection, Iterator
from functools import partialmethod
from typing import Any

from geventkws.lazy import PLAIN_FUNCTION, lazy_kind
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.protocol.origin import ANY_ORIGIN, parse_origin
from geventkws.protocol.tokens import is_token
from geventkws.service import PUSH_STYLE, WebSocketService, defines, pull_style_run
from geventkws.websocket.meter import LEAST_BURST, POLICIES

CALLBACKS: dict[str, tuple[str, ...]] = {
    **{
        name: tuple(inspect.signature(value).parameters)[1:]
        for name, value in vars(WebSocketService).items()
        if inspect.isfunction(value) and not name.startswith("_")
    },
    "run": ("connection",),
}
"""The names of a service's callbacks, and the names of their arguments."""

ATTRIBUTES = tuple(inspect.get_annotations(WebSocketService))

NEAR = 0.92
"""From this similarity (difflib) on, a name counts as misspelt: ``receive`` for ``received``, but not
``connection`` for ``connecting``."""


def check_service(service: object) -> WebSocketService:
    """Return ``service`` if it can work, so that a mistake shows at registration and not at a handshake.

    Raises ``TypeError`` if it is not an instance of ``WebSocketService``; if a callback is an ``async def``
    or a generator, or cannot take its arguments; if a name is nearly that of a callback or attribute; if
    messages are handled both by ``run`` and by ``received``, or nothing is handled at all; or if an attribute
    has a type other than the documented one. Raises ``ValueError`` if ``subprotocols`` or ``allowed_origins``
    contain something that no client could match, if ``connection_timeout`` or a rate is not greater than 0,
    if ``max_message_size`` is negative, or for another ``rate_burst`` or ``rate_policy`` than documented.
    """
    if isinstance(service, type) and issubclass(service, WebSocketService):
        raise TypeError(f"register an instance, {service.__name__}(...), not the class {service.__name__}")
    if not isinstance(service, WebSocketService):
        raise TypeError(f"a service must be a WebSocketService, not {service!r}")
    _check_names(service)
    for name in CALLBACKS:
        _check_callback(service, name)
    _check_style(service)
    _check_attributes(service)
    return service


# Callbacks


def _check_callback(service: WebSocketService, name: str) -> None:
    callback = getattr(service, name, None)
    if name == "run" and pull_style_run(service) is None:
        return
    where = f"{type(service).__name__}.{name}"
    if not callable(callback):
        raise TypeError(f"{where} must be a method, not {callback!r}")
    kind = lazy_kind(callback)
    if kind is not None:
        raise TypeError(f"{where} is {kind}, whose body would never run: {PLAIN_FUNCTION}")
    arguments = CALLBACKS[name]
    if not can_take(callback, len(arguments)):
        raise TypeError(
            f"{where} cannot take its arguments, ({', '.join(arguments)}):"
            f" write def {name}({', '.join(('self', *arguments))})"
        )


def can_take(callback: Callable[..., object], count: int) -> bool:
    """Return whether ``callback`` takes ``count`` positional arguments, as far as can be known."""
    if hasattr(callback, "__signature__"):
        return True  # somebody has declared it, which need not be the truth
    function = callback
    if inspect.ismethod(callback):
        function, count = callback.__func__, count + 1
    try:
        # Not that of the wrapped function: a decorator may add arguments of its own.
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return True  # it is written in C, and has no signature
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _check_style(service: WebSocketService) -> None:
    owner = type(service).__name__
    handled = [name for name in PUSH_STYLE if defines(service, name)]
    if pull_style_run(service) is not None:
        # A subclass may change the style: callbacks of a base class do not conflict with its ``run``.
        place = _place(service, "run")
        beside = next((name for name in handled if _place(service, name) <= place), None)
        if beside is not None:
            raise TypeError(
                f"{owner} defines both run and {beside}, which would never be called: take the messages in"
                " run, by 'for message in connection', or leave run out"
            )
    elif not handled and not defines(service, "connected"):
        raise TypeError(
            f"{owner} handles nothing: define received(self, message, connection), received_text or"
            f" received_binary, connected(self, connection), or run(self, connection){_guess(service)}"
        )


def _place(service: WebSocketService, name: str) -> int:
    """Return where ``name`` is defined: 0 for the instance itself, then its class and the base classes."""
    owners = (service, *type(service).__mro__)
    return next((place for place, owner in enumerate(owners) if name in vars(owner)), len(owners))


def _guess(service: WebSocketService) -> str:
    """Return a question about a method that may be meant as a callback, even if its name is less similar."""
    for name, value in _own_names(service):
        meant = difflib.get_close_matches(name, CALLBACKS, n=1)
        if meant and name not in CALLBACKS and _is_method(value) and not name.startswith("_"):
            return f"; did you mean {meant[0]!r} by {name!r}?"
    return ""


# Misspelt names


def _check_names(service: WebSocketService) -> None:
    for name, value in _own_names(service):
        known = CALLBACKS if _is_method(value) else ATTRIBUTES
        if not name.startswith("_") and name not in known and not isinstance(value, type):
            meant = _near_miss(name, known)
            if meant is not None:
                raise TypeError(f"{type(service).__name__} has no use for {name!r}; did you mean {meant!r}?")


def _own_names(service: WebSocketService) -> Iterator[tuple[str, object]]:
    """Yield the names that a service adds to those of ``WebSocketService``, and their values."""
    known = set(WebSocketService.__mro__)
    for owner in (service, *(each for each in type(service).__mro__ if each not in known)):
        yield from list(vars(owner).items())


def _is_method(value: object) -> bool:
    return callable(value) or isinstance(value, (classmethod, partialmethod))


def _near_miss(name: str, known: Collection[str]) -> str | None:
    """Return which of the ``known`` names ``name`` is a misspelling of; None if it is not one."""
    if name.isupper():
        return None  # a constant
    plain = {_plain(each): each for each in known}
    close = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=NEAR)
    if close:
        return plain[close[0]]
    return next((each for each in known if _letters(each) == _letters(name)), None)


def _plain(name: str) -> str:
    """Return what ``maxMessageSize`` shares with its Python name."""
    return name.replace("_", "").lower()


def _letters(name: str) -> list[str]:
    """Return what ``recieved`` shares with ``received``."""
    return sorted(_plain(name))


# Attributes


def _check_attributes(service: WebSocketService) -> None:
    owner = type(service).__name__
    _check_subprotocols(owner, service.subprotocols)
    _check_allowed_origins(owner, service.allowed_origins)
    _check_positive(f"{owner}.connection_timeout", service.connection_timeout, "seconds", "never")
    _check_positive(f"{owner}.max_message_rate", service.max_message_rate, "messages per second", "no limit")
    _check_positive(f"{owner}.max_byte_rate", service.max_byte_rate, "bytes per second", "no limit")
    _check_rate(owner, service.rate_burst, service.rate_policy)
    _check_max_message_size(owner, service.max_message_size)
    if not isinstance(service.compression, (bool, PerMessageDeflate)):
        raise TypeError(
            f"{owner}.compression must be True, False or a PerMessageDeflate, not {service.compression!r}"
        )


def _check_subprotocols(owner: str, subprotocols: object) -> None:
    for subprotocol in _texts(f"{owner}.subprotocols", "names", subprotocols):
        if not is_token(subprotocol):
            raise ValueError(f"{owner}.subprotocols: {subprotocol!r} is not a token (RFC 9110, 5.6.2)")


def _check_allowed_origins(owner: str, allowed: object) -> None:
    if allowed is None or allowed == ANY_ORIGIN:
        return
    where = f"{owner}.allowed_origins"
    for origin in (allowed,) if isinstance(allowed, str) else _texts(where, "origins", allowed):
        if origin == ANY_ORIGIN:
            raise ValueError(f"{where}: '*' is not an origin; to allow any, write allowed_origins = '*'")
        if origin != "null" and parse_origin(origin) is None:
            raise ValueError(
                f"{where}: {origin!r} is not an origin; write it like 'https://example.com:8443',"
                " without a path, and an international name in its xn-- form"
            )


def _texts(where: str, kind: str, value: object) -> Collection[Any]:
    """Return ``value`` if it is a collection of strings, which can be read more than once."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Collection):
        instead = f": write [{value!r}]" if isinstance(value, str) else ""
        raise TypeError(f"{where} must be a list of {kind}, not {value!r}{instead}")
    for each in value:
        if not isinstance(each, str):
            raise TypeError(f"{where} must be a list of {kind}, each a str, not {each!r}")
    return value


def _check_positive(where: str, value: object, unit: str, none: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{where} must be a number of {unit} or None, not {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{where} must be greater than 0 (None: {none}), not {value!r}")


def _check_rate(owner: str, burst: object, policy: object) -> None:
    if isinstance(burst, bool) or not isinstance(burst, (int, float)):
        raise TypeError(f"{owner}.rate_burst must be a number of seconds, not {burst!r}")
    if not LEAST_BURST <= burst < math.inf:
        raise ValueError(f"{owner}.rate_burst must be at least {LEAST_BURST} seconds, not {burst!r}")
    if policy not in POLICIES:
        raise ValueError(f"{owner}.rate_policy must be 'slow' or 'close', not {policy!r}")


def _check_max_message_size(owner: str, size: object) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"{owner}.max_message_size must be a number of bytes, not {size!r}")
    if size < 0:
        raise ValueError(f"{owner}.max_message_size must not be negative, not {size!r}")
