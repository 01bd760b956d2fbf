"""A service whose callbacks a framework calls: what passes through the wrapper, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from geventkws import HandshakeError, WebSocketService
from geventkws.once import first_time
from geventkws.service_check import ATTRIBUTES
from geventkws.wrapper import Wrapping


class Push(WebSocketService):
    connection_timeout = 60
    subprotocols = ("chat",)

    def __init__(self) -> None:
        self.rooms = ["lobby"]

    def connecting(self, request: Any) -> None:
        raise HandshakeError(403, "Not you")

    def connected(self, connection: Any) -> None:
        raise LookupError("a mistake")

    def received(self, message: Any, connection: Any) -> Any:
        return ("received", message, connection)

    def disconnected(self, connection: Any, reason: Any) -> Any:
        return ("disconnected", connection, reason)

    def _good_bye(self, reason: Any, description: str) -> tuple[int, str]:
        return 4001, "Push"


class Pull(WebSocketService):
    def run(self, connection: Any) -> Any:
        return ("run", connection)


def wrapped(service: WebSocketService, **options: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """Return a wrapper, and the calls that it makes."""
    calls: list[tuple[Any, ...]] = []

    def call(callback: Any, *args: Any) -> object:
        calls.append((callback, *args))
        result: object = callback(*args)
        return result

    return Wrapping(service)(call, **options), calls


def test_callbacks_are_called_by_the_framework_and_their_results_come_back() -> None:
    service = Push()
    wrapper, calls = wrapped(service)
    assert wrapper.received("text", "connection") == ("received", "text", "connection")
    assert wrapper.disconnected("connection", 1000) == ("disconnected", "connection", 1000)
    assert wrapper._good_bye(1001, "") == (4001, "Push")
    with pytest.raises(LookupError):
        wrapper.connected("connection")
    assert calls == [
        (service.received, "text", "connection"),
        (service.disconnected, "connection", 1000),
        (service.connected, "connection"),
    ]
    assert not hasattr(wrapper, "run")


def test_connecting_is_called_directly() -> None:
    wrapper, calls = wrapped(Push())
    with pytest.raises(HandshakeError):
        wrapper.connecting("request")
    assert not calls


def test_the_pull_style_stays_one() -> None:
    service = Pull()
    wrapper, calls = wrapped(service)
    assert wrapper.run("connection") == ("run", "connection")
    assert calls == [(service.run, "connection")]


def test_everything_else_is_the_services_own() -> None:
    service = Push()
    wrapper, _ = wrapped(service)
    for name in ATTRIBUTES:
        assert getattr(wrapper, name) == getattr(service, name), name
    assert wrapper.rooms is service.rooms
    assert type(wrapper).__name__ == "Push"
    assert repr(wrapper) == repr(service)
    assert first_time(service, "told")
    assert not first_time(wrapper, "told")


def test_a_failure_is_logged_by_the_service_or_by_the_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    service, error = Push(), LookupError("a mistake")
    logged: list[tuple[str, Any, BaseException]] = []
    monkeypatch.setattr(service, "_log_failure", lambda *failure: logged.append(("service", *failure)))
    wrapped(service)[0]._log_failure("connection", error)
    by_framework, _ = wrapped(service, log_failure=lambda *failure: logged.append(("framework", *failure)))
    by_framework._log_failure("connection", error)
    assert logged == [("service", "connection", error), ("framework", "connection", error)]
