"""The base class of services and the check of what is registered."""

from __future__ import annotations

from typing import Any, cast

import pytest

from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.protocol.extensions import PerMessageDeflate
from geventkws.service import WebSocketService, check_service, pull_style_run


class Recorder:
    """In the place of a connection: all that the defaults may use of one."""

    def __init__(self) -> None:
        self.closed: list[tuple[WebSocketCloseReasonCode, str]] = []

    def close(self, reason: WebSocketCloseReasonCode, description: str) -> None:
        self.closed.append((reason, description))


def recorder() -> Any:
    return Recorder()


class Echo(WebSocketService):
    def __init__(self):
        self.seen = []

    def received_text(self, message, connection):
        self.seen.append(("text", message))

    def received_binary(self, message, connection):
        self.seen.append(("binary", message))


def test_a_str_goes_to_received_text_and_bytes_to_received_binary():
    service, connection = Echo(), recorder()
    service.received("ä", connection)
    service.received(b"\xff", connection)
    service.received("", connection)
    service.received(b"", connection)
    assert service.seen == [("text", "ä"), ("binary", b"\xff"), ("text", ""), ("binary", b"")]
    assert connection.closed == []


@pytest.mark.parametrize(
    ("message", "description"),
    [("text", "Text messages are not accepted here"), (b"binary", "Binary messages are not accepted here")],
)
def test_a_kind_of_message_that_is_not_handled_closes_with_1003(message, description):
    connection = recorder()
    WebSocketService().received(message, connection)
    assert connection.closed == [(WebSocketCloseReasonCode.INVALID_DATA_TYPE, description)]


def test_the_other_callbacks_do_nothing_by_default():
    service, connection, request = WebSocketService(), recorder(), cast(Any, None)
    service.connecting(request)
    service.connected(connection)
    service.disconnected(connection, WebSocketCloseReasonCode.NORMAL)
    assert connection.closed == []


def test_the_defaults_of_a_service():
    service = WebSocketService()
    assert service.connection_timeout is None
    assert service.subprotocols == ()
    assert service.allowed_origins is None
    assert service.max_message_size == 1_048_576
    assert service.compression is False
    assert pull_style_run(service) is None


def test_a_service_is_its_own_check():
    service = Echo()
    assert check_service(service) is service


def test_a_class_in_the_place_of_an_instance_is_named():
    with pytest.raises(TypeError, match=r"register an instance, Echo\(\.\.\.\), not the class Echo"):
        check_service(Echo)


@pytest.mark.parametrize("service", [None, "chat", object(), int, Recorder()])
def test_anything_else_is_no_service(service):
    with pytest.raises(TypeError, match="must be a WebSocketService"):
        check_service(service)


def with_attributes(**attributes):
    return type("Configured", (WebSocketService,), attributes)()


@pytest.mark.parametrize(
    "attributes",
    [
        {"subprotocols": ["chat", "v2.chat"]},
        {"subprotocols": ("chat",)},
        {"max_message_size": 0},
        {"allowed_origins": "*"},
        {"allowed_origins": []},
        {"allowed_origins": "https://example.com"},
        {"allowed_origins": ["https://example.com:8443", "http://[::1]", "null"]},
    ],
)
def test_attributes_that_can_be_right_are_taken(attributes):
    service = with_attributes(**attributes)
    assert check_service(service) is service


@pytest.mark.parametrize(
    ("attributes", "error", "text"),
    [
        ({"subprotocols": "chat"}, TypeError, "Configured.subprotocols must be a list of names, not 'chat'"),
        ({"subprotocols": ["a b"]}, ValueError, "Configured.subprotocols: 'a b' is no token"),
        ({"subprotocols": ["chat", ""]}, ValueError, "Configured.subprotocols: '' is no token"),
        (
            {"allowed_origins": "example.com"},
            ValueError,
            "Configured.allowed_origins: 'example.com' is no origin",
        ),
        ({"allowed_origins": ["*"]}, ValueError, r"'\*' is no origin"),
        ({"allowed_origins": ["http://a", "http://b/"]}, ValueError, "'http://b/' is no origin"),
        ({"allowed_origins": ["http://bücher.example"]}, ValueError, "xn--"),
        ({"max_message_size": None}, TypeError, "Configured.max_message_size must be a number of bytes"),
        ({"max_message_size": 1e6}, TypeError, "max_message_size must be a number of bytes, not 1000000.0"),
        ({"max_message_size": True}, TypeError, "max_message_size must be a number of bytes, not True"),
        ({"max_message_size": -1}, ValueError, "max_message_size must not be negative, not -1"),
    ],
)
def test_attributes_that_cannot_be_right_are_refused(attributes, error, text):
    with pytest.raises(error, match=text):
        check_service(with_attributes(**attributes))


def test_a_service_with_a_method_run_is_of_the_pull_style():
    class Puller(WebSocketService):
        def run(self, connection):
            return (self, connection)

    service, connection = Puller(), recorder()
    run = pull_style_run(service)
    assert run is not None
    assert run(connection) == (service, connection)


@pytest.mark.parametrize("attributes", [{}, {"run": None}, {"run": 60}])
def test_a_service_without_a_method_run_is_of_the_push_style(attributes):
    assert pull_style_run(with_attributes(**attributes)) is None


@pytest.mark.parametrize("compression", [True, False, PerMessageDeflate(level=9)])
def test_compression_is_on_or_off_or_has_options(compression):
    service = Echo()
    service.compression = compression
    assert check_service(service) is service


@pytest.mark.parametrize("compression", [None, 1, "deflate", PerMessageDeflate])
def test_a_compression_that_is_none_is_a_type_error(compression):
    service = Echo()
    service.compression = compression
    with pytest.raises(
        TypeError, match=r"^Echo\.compression must be True, False or a PerMessageDeflate, not"
    ):
        check_service(service)
