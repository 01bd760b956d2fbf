"""The base class of services."""

from __future__ import annotations

from typing import Any, cast, get_type_hints

import pytest

from geventkws.once import MAX_TOLD, first_time
from geventkws.protocol.close_codes import WebSocketCloseReasonCode
from geventkws.service import ServiceAttributes, WebSocketService, pull_style_run


def test_the_keywords_of_type_checkers_are_the_attributes() -> None:
    assert get_type_hints(ServiceAttributes) == get_type_hints(WebSocketService)


class Recorder:
    """Replaces a connection: has everything that the defaults may use."""

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
    assert service.max_message_rate is None
    assert service.max_byte_rate is None
    assert service.rate_burst == 1
    assert service.rate_policy == "slow"
    assert service.compression is False
    assert pull_style_run(service) is None


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
    assert pull_style_run(type("Configured", (WebSocketService,), attributes)()) is None


def test_a_run_found_by_getattr_counts_if_messages_are_not_handled():
    class Anything(WebSocketService):
        def __getattr__(self, name):
            return lambda *args: (name, args)

    class Handler(Anything):
        def received_text(self, message, connection):
            pass

    run = pull_style_run(Anything())
    assert run is not None
    assert run(recorder())
    assert pull_style_run(Handler()) is None


def test_a_kind_that_is_not_handled_is_logged_once_for_each_service_and_kind(caplog):
    class Deaf(WebSocketService):
        pass

    for service in (Deaf(), Deaf()):
        for message in ("a", b"a", "b", b"b"):
            service.received(message, recorder())
    told = [record.getMessage() for record in caplog.records]
    assert told == 2 * [
        f"Deaf does not handle {kind} messages, and closes connections that send them with 1003: define"
        f" received_{kind}(self, message, connection), or received"
        for kind in ("text", "binary")
    ]


def test_what_is_logged_about_a_service_is_limited():
    service = Echo()
    assert [first_time(service, number) for number in range(MAX_TOLD + 5)] == [True] * MAX_TOLD + [False] * 5
    assert first_time(Echo(), 0)
