"""Wrong arguments to a connection's methods: the error says what to give instead, and nothing is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from geventkws import HandshakeError, WebSocketConnection, broadcast
from geventkws import WebSocketCloseReasonCode as Code
from tests.integration.conftest import Recorder, Serve, serve
from tests.raw import TEXT, Frame

__all__ = ["serve"]  # a fixture


to_many: Any = broadcast


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda c: c.close("bye"), TypeError, "is a code, not 'bye'; for a text write description='bye'"),
        (lambda c: c.drop("bye"), TypeError, "is a code, not 'bye'; for a text write description='bye'"),
        (lambda c: c.close(1000.0), TypeError, "must be a WebSocketCloseReasonCode, not 1000.0"),
        (lambda c: c.close(True), TypeError, "must be a WebSocketCloseReasonCode, not True"),
        (lambda c: c.close(b"bye"), TypeError, "must be a WebSocketCloseReasonCode, not b'bye'"),
        (lambda c: c.close(1000, b"bye"), TypeError, "the description of a close must be a str, not b'bye'"),
        (lambda c: c.close(1000, 0), TypeError, "the description of a close must be a str, not 0"),
        (lambda c: c.close(42), ValueError, "42 is not a close code: use one of WebSocketCloseReasonCode"),
        (lambda c: c.close(1006), ValueError, "1006 must not be sent"),
        (lambda c: c.ping(5), TypeError, "a ping's message must be str or bytes, not 5"),
        (lambda c: c.ping([1, 2]), TypeError, "a ping's message must be str or bytes, not [1, 2]"),
        (lambda c: c.ping("x" * 126), ValueError, "at most 125 bytes, not 126"),
        (lambda c: c.send({"a": 1}), TypeError, "not dict: encode it first, with json.dumps, for example"),
        (lambda c: c.send(None), TypeError, "not NoneType: encode it"),
        (lambda c: to_many({"id": c}, "x"), TypeError, "not 'id': of a dict of them, give its values()"),
        (lambda c: to_many("text", [c]), TypeError, "must be str or bytes, not list"),
        (lambda c: to_many([c, None], "x"), TypeError, "takes connections, not None"),
    ],
)
def test_a_wrong_argument_is_reported_and_the_connection_goes_on(
    serve: Serve, call: Callable[[Any], object], error: type[Exception], said: str
) -> None:
    service = Recorder()
    client = serve(service).connect()
    service.expect("connected")
    with pytest.raises(error, match=re.escape(said)):
        call(service.connections[0])
    service.connections[0].send("still here")
    if error is TypeError and "None" in said and "connections" in said:
        assert client.frame() == Frame(TEXT, b"x")  # the first receiver was valid
    assert client.frame() == Frame(TEXT, b"still here")


@pytest.mark.parametrize("timeout", ["5", True, [1]])
def test_a_wrong_timeout_is_reported(serve: Serve, timeout: Any) -> None:
    told: list[str] = []

    class Puller(Recorder):
        def run(self, connection: WebSocketConnection) -> None:
            try:
                connection.receive(timeout)
            except TypeError as error:
                told.append(str(error))

    client = serve(Puller()).connect()
    assert client.close_code()[0] == Code.NORMAL
    assert told == [f"the timeout of receive() must be a number of seconds or None, not {timeout!r}"]


@pytest.mark.parametrize("arguments", [("Members only", 403), ("Members only",), (403, 403), (403, None)])
def test_swapped_arguments_of_a_refusal_are_reported(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=re.escape("as in HandshakeError(403, 'Members only')")):
        HandshakeError(*arguments)
