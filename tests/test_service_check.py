"""A service that cannot work is refused when it is registered; one that only looks odd is not."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.service import WebSocketService
from geventkws.service_check import ATTRIBUTES, CALLBACKS, check_service


class Echo(WebSocketService):
    def received(self, message, connection):
        pass


def with_attributes(**attributes) -> Any:
    return type("Configured", (Echo,), attributes)()


def test_the_names_are_those_of_the_base_class():
    assert list(CALLBACKS) == [
        "connecting",
        "connected",
        "received",
        "received_text",
        "received_binary",
        "disconnected",
        "run",
    ]
    assert CALLBACKS["received"] == ("message", "connection")
    assert set(ATTRIBUTES) == {
        "connection_timeout",
        "subprotocols",
        "allowed_origins",
        "max_message_size",
        "max_message_rate",
        "max_byte_rate",
        "rate_burst",
        "rate_policy",
        "compression",
    }


def test_a_service_is_its_own_check():
    service = Echo()
    assert check_service(service) is service


def test_a_class_in_the_place_of_an_instance_is_named():
    with pytest.raises(TypeError, match=r"register an instance, Echo\(\.\.\.\), not the class Echo"):
        check_service(Echo)


@pytest.mark.parametrize("service", [None, "chat", object(), int, print, asyncio])
def test_anything_else_is_not_a_service(service):
    with pytest.raises(TypeError, match="must be a WebSocketService"):
        check_service(service)


@pytest.mark.parametrize(
    "attributes",
    [
        {"subprotocols": ["chat", "v2.chat"]},
        {"subprotocols": ("chat",)},
        {"max_message_size": 0},
        {"max_message_rate": 0.5, "max_byte_rate": 1024, "rate_burst": 0.1, "rate_policy": "close"},
        {"allowed_origins": "*"},
        {"allowed_origins": []},
        {"allowed_origins": "https://example.com"},
        {"allowed_origins": ["https://example.com:8443", "http://[::1]", "null"]},
    ],
)
def test_attributes_that_can_be_right_are_accepted(attributes):
    service = with_attributes(**attributes)
    assert check_service(service) is service


@pytest.mark.parametrize(
    ("attributes", "error", "text"),
    [
        ({"subprotocols": "chat"}, TypeError, "Configured.subprotocols must be a list of names, not 'chat'"),
        ({"subprotocols": "chat"}, TypeError, r"write \['chat'\]"),
        ({"subprotocols": None}, TypeError, "subprotocols must be a list of names, not None"),
        ({"subprotocols": iter(["chat"])}, TypeError, "subprotocols must be a list of names"),
        ({"subprotocols": [b"chat"]}, TypeError, "each a str, not b'chat'"),
        ({"allowed_origins": 5}, TypeError, "allowed_origins must be a list of origins, not 5"),
        ({"allowed_origins": [None]}, TypeError, "each a str, not None"),
        ({"connection_timeout": "60"}, TypeError, "must be a number of seconds or None, not '60'"),
        ({"connection_timeout": -1}, ValueError, "must be greater than 0"),
        ({"subprotocols": ["a b"]}, ValueError, "Configured.subprotocols: 'a b' is not a token"),
        ({"subprotocols": ["chat", ""]}, ValueError, "Configured.subprotocols: '' is not a token"),
        (
            {"allowed_origins": "example.com"},
            ValueError,
            "Configured.allowed_origins: 'example.com' is not an origin",
        ),
        ({"allowed_origins": ["*"]}, ValueError, r"'\*' is not an origin"),
        ({"allowed_origins": ["http://a", "http://b/"]}, ValueError, "'http://b/' is not an origin"),
        ({"allowed_origins": ["http://bücher.example"]}, ValueError, "xn--"),
        ({"max_message_size": None}, TypeError, "Configured.max_message_size must be a number of bytes"),
        ({"max_message_size": 1e6}, TypeError, "max_message_size must be a number of bytes, not 1000000.0"),
        ({"max_message_size": True}, TypeError, "max_message_size must be a number of bytes, not True"),
        ({"max_message_size": -1}, ValueError, "max_message_size must not be negative, not -1"),
        (
            {"max_message_rate": "5/s"},
            TypeError,
            "must be a number of messages per second or None, not '5/s'",
        ),
        ({"max_message_rate": True}, TypeError, "max_message_rate must be a number of messages per second"),
        ({"max_message_rate": 0}, ValueError, r"max_message_rate must be greater than 0 \(None: no limit\)"),
        ({"max_byte_rate": (5, 1)}, TypeError, "must be a number of bytes per second or None"),
        ({"max_byte_rate": float("inf")}, ValueError, "max_byte_rate must be greater than 0"),
        ({"rate_burst": None}, TypeError, "Configured.rate_burst must be a number of seconds, not None"),
        ({"rate_burst": True}, TypeError, "rate_burst must be a number of seconds, not True"),
        ({"rate_burst": 0}, ValueError, "rate_burst must be at least 0.1 seconds, not 0"),
        ({"rate_burst": float("inf")}, ValueError, "rate_burst must be at least 0.1 seconds"),
        ({"rate_policy": "drop"}, ValueError, "rate_policy must be 'slow' or 'close', not 'drop'"),
        ({"rate_policy": None}, ValueError, "rate_policy must be 'slow' or 'close', not None"),
    ],
)
def test_attributes_that_cannot_be_right_are_refused(attributes, error, text):
    with pytest.raises(error, match=text):
        check_service(with_attributes(**attributes))


@pytest.mark.parametrize("compression", [True, False, PerMessageDeflate(level=9)])
def test_compression_is_on_or_off_or_has_options(compression):
    service = Echo()
    service.compression = compression
    assert check_service(service) is service


@pytest.mark.parametrize("compression", [None, 1, "deflate", PerMessageDeflate])
def test_any_other_compression_is_a_type_error(compression):
    service = Echo()
    service.compression = compression
    with pytest.raises(
        TypeError, match=r"^Echo\.compression must be True, False or a PerMessageDeflate, not"
    ):
        check_service(service)


# Callbacks


class AsyncCallable:
    async def __call__(self, message, connection):
        pass


async def coroutine_function(self, message, connection):
    pass


def generator_function(self, message, connection):
    yield


async def async_generator_function(self, message, connection):
    yield


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (coroutine_function, "an async function"),
        (generator_function, "a generator"),
        (async_generator_function, "an async generator"),
        (staticmethod(functools.partial(coroutine_function, None)), "an async function"),
        (AsyncCallable(), "an async function"),
    ],
)
def test_a_callback_that_would_not_run_is_refused(function, kind):
    with pytest.raises(TypeError, match=rf"^Configured\.received is {kind}.*: make it a plain function"):
        check_service(with_attributes(received=function))


@pytest.mark.parametrize("name", CALLBACKS)
def test_so_is_each_callback(name):
    async def f(self, *args):
        pass

    service = type("Configured", (WebSocketService,), {name: f})()
    with pytest.raises(TypeError, match=rf"^Configured\.{name} is an async function"):
        check_service(service)


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("function", [lambda: 0, lambda self: 0, lambda self, a, b, c: 0])
def test_a_callback_that_cannot_take_its_arguments_is_refused_with_how_to_write_it(name, function):
    service = type("Configured", (WebSocketService,), {name: function})()
    expected = f"write def {name}(self, {', '.join(CALLBACKS[name])})"
    with pytest.raises(TypeError, match=rf"^Configured\.{name} cannot take its arguments") as raised:
        check_service(service)
    assert expected in str(raised.value)


def test_anything_but_a_method_is_refused():
    with pytest.raises(TypeError, match=r"^Configured\.received must be a method, not None"):
        check_service(with_attributes(received=None))


def adding_an_argument(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(self, message, connection):
        return function(self, message, connection, "user")

    return wrapper


def running(function: Callable[..., Any]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(*args):
        return asyncio.run(function(*args))

    return wrapper


def lying(self, *args):
    pass


lying.__signature__ = inspect.Signature()  # type: ignore[attr-defined]


class Handler:
    """A callable that is not bound as a method, like a C function."""

    def __call__(self, message, connection, *more):
        pass


@pytest.mark.parametrize(
    "function",
    [
        lambda self, *args: 0,
        lambda self, message, connection, extra=None: 0,
        lambda self, message, connection, *, extra=None: 0,
        staticmethod(lambda message, connection: 0),
        classmethod(lambda cls, message, connection: 0),
        staticmethod(functools.partial(lambda a, message, connection: 0, 1)),
        functools.partialmethod(lambda self, a, message, connection: 0, 1),
        adding_an_argument(lambda self, message, connection, user: 0),
        running(coroutine_function),
        lying,
        Handler(),
        staticmethod(print),
        staticmethod(max),  # built in, and without a signature
        staticmethod(dict),
    ],
)
def test_a_callback_that_can_work_is_accepted(function):
    check_service(with_attributes(received=function))


def test_a_callback_may_be_set_on_the_instance():
    service = WebSocketService()
    service.received = lambda message, connection: None  # type: ignore[method-assign]
    assert check_service(service) is service


def test_a_service_that_delegates_by_getattr_is_accepted():
    class Puller:
        def run(self, connection):
            pass

    class Proxy(WebSocketService):
        def __init__(self, target):
            self._target = target

        def __getattr__(self, name):
            return getattr(self._target, name)

    check_service(Proxy(Puller()))
    with pytest.raises(TypeError, match="Proxy handles nothing"):
        check_service(Proxy(object()))


def test_a_catch_all_getattr_does_not_hide_received():
    class Anything(Echo):
        def __getattr__(self, name):
            return lambda *args: None

    check_service(Anything())


# Styles


@pytest.mark.parametrize("name", ["received", "received_text", "received_binary"])
def test_received_beside_run_is_refused(name):
    attributes = {"run": lambda self, connection: 0, name: lambda self, message, connection: 0}
    service = type("Both", (WebSocketService,), attributes)()
    with pytest.raises(TypeError, match=rf"^Both defines both run and {name}, which would never be called"):
        check_service(service)


def test_a_subclass_may_change_the_style():
    class Puller(Echo):
        def run(self, connection):
            pass

    class Pusher(Puller):
        run = None  # type: ignore[assignment]

        def received(self, message, connection):
            pass

    check_service(Puller())
    check_service(Pusher())


@pytest.mark.parametrize("name", ["received", "received_text", "received_binary", "connected"])
def test_one_callback_of_these_is_enough(name):
    function = lambda self, *args: 0  # noqa: E731
    check_service(type("One", (WebSocketService,), {name: function})())


@pytest.mark.parametrize(
    ("attributes", "guess"),
    [
        ({}, r"run\(self, connection\)$"),
        ({"connecting": lambda self, request: 0, "disconnected": lambda self, *args: 0}, r"connection\)$"),
        ({"recive": lambda self, *args: 0}, "; did you mean 'received' by 'recive'"),
        ({"on_received": lambda self, *args: 0}, "; did you mean 'received' by 'on_received'"),
    ],
)
def test_a_service_that_handles_nothing_is_refused(attributes, guess):
    service = type("Nothing", (WebSocketService,), attributes)()
    with pytest.raises(TypeError, match=rf"^Nothing handles nothing: define received\(.*{guess}"):
        check_service(service)


# Misspelt names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("conecting", "connecting"),
        ("conected", "connected"),
        ("disconected", "disconnected"),
        ("recieved", "received"),
        ("receive", "received"),
        ("recieved_text", "received_text"),
        ("receivedText", "received_text"),
        ("recieved_binary", "received_binary"),
    ],
)
def test_a_near_miss_of_a_callback_is_refused(name, meant):
    with pytest.raises(TypeError, match=f"^Configured has no use for '{name}'; did you mean '{meant}'"):
        check_service(with_attributes(**{name: lambda self, *args: 0}))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("alowed_origins", "allowed_origins"),
        ("allowed_origin", "allowed_origins"),
        ("conection_timeout", "connection_timeout"),
        ("connectionTimeout", "connection_timeout"),
        ("maxMessageSize", "max_message_size"),
        ("subprotocol", "subprotocols"),
        ("compresion", "compression"),
        ("sub_protocol", "subprotocols"),
        ("max_messages_rate", "max_message_rate"),
        ("maxByteRate", "max_byte_rate"),
        ("rate_bursts", "rate_burst"),
        ("rate_polic", "rate_policy"),
    ],
)
def test_a_near_miss_of_an_attribute_is_refused(name, meant):
    with pytest.raises(TypeError, match=f"^Configured has no use for '{name}'; did you mean '{meant}'"):
        check_service(with_attributes(**{name: 1}))
    service = Echo()
    setattr(service, name, 1)
    with pytest.raises(TypeError, match=f"^Echo has no use for '{name}'"):
        check_service(service)


class Received:
    pass


@pytest.mark.parametrize(
    "attributes",
    [
        {"connections": {}, "connection": None, "conecting": True, "timeout": 5, "origins": ()},
        {"connect": lambda self: 0, "disconnect": lambda self: 0, "connections": lambda self: 0},
        {"on_connected": lambda self: 0, "reconnected": lambda self: 0, "is_connected": property(bool)},
        {"Received": Received, "MAX_MESSAGE_SIZE": 1, "_recieved": lambda self: 0},
        {"connection_timer": None, "received_json": lambda self: 0, "receiver": lambda self: 0},
    ],
)
def test_other_names_are_the_services_own_business(attributes):
    check_service(with_attributes(**attributes))
