"""What the server logs of requests and of services, in words that no peer can choose."""

from __future__ import annotations

import logging

import gevent
import pytest

from geventkws import HandshakeError, WebSocketService
from tests.integration.conftest import Echo, Recorder, Serve
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


FORGED = "/rooms/%0aCRITICAL%20root%1b[31m%c2%9b%e2%80%a8%e2%80%ae"


class Refusing(Recorder):
    """Refuses, with texts from the request in the reason."""

    def connecting(self, request):
        raise HandshakeError(403, f"{request.path} is not for {request.headers['User-Agent']}")


def refusing(environ, start_response):
    environ["geventkws.upgrade"](Refusing())


class FailingAtOnce(Recorder):
    def connecting(self, request):
        raise RuntimeError("oops")


class Representing(Recorder):
    """Logs the ``repr`` of everything about its connections."""

    def connected(self, connection):
        request = connection.request
        for each in (connection, request, request.headers, request.query, request.cookies):
            logging.getLogger("geventkws.server").info("%r, %s", each, each)
        super().connected(connection)


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("service", "logged"),
    [
        (FailingAtOnce(), "connecting failed"),
        (Representing(), "<WebSocketConnection"),
        (None, "is refused: 403 /rooms/"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_line_of_the_log_is_the_peers(
    serve: Serve, caplog: pytest.LogCaptureFixture, service: WebSocketService | None, logged: str
) -> None:
    caplog.set_level(logging.DEBUG, "geventkws")
    paths = {"/rooms/<room>": service} if service else {}
    site = serve(paths=paths, application=refusing)
    client = site.connect(f"{FORGED}?{FORGED}", "User-Agent: \x9b31m", "Cookie: a=\x9b\\012")
    client.close()
    site.wait_until_empty()
    with gevent.Timeout(PATIENCE):
        while not any(record.name == "geventkws.access" for record in caplog.records):
            gevent.sleep(0.005)
    messages = [record.getMessage() for record in caplog.records]
    assert any(logged in message for message in messages)
    assert all(message.isprintable() for message in messages), messages


@pytest.mark.logs_errors
def test_a_failing_connecting_is_logged_and_answered_with_500(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Echo):
        def connecting(self, request):
            raise RuntimeError("oops")

    client = serve(Failing()).connect()
    assert client.head.startswith("HTTP/1.1 500 ")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.getMessage() == "Failing.connecting failed for /service"
    assert record.exc_info
