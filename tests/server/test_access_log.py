"""A line for each answered request, and one for each closed WebSocket."""

from __future__ import annotations

import logging
import re

import gevent
import pytest
import requests

from tests.integration.conftest import Echo, Recorder, Serve
from tests.raw import TEXT, close_frame, masked
from tests.waiting import PATIENCE

TIME = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def access_lines(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Wait for ``count`` lines of the access log and return them."""
    with gevent.Timeout(PATIENCE):
        while True:
            lines = [record.getMessage() for record in caplog.records if record.name == "geventkws.access"]
            if len(lines) >= count:
                return lines
            gevent.sleep(0.005)


def test_a_request_is_a_line_in_the_combined_format(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site = serve(application=application)
    headers = {"User-Agent": "tests/1.0", "Referer": "http://example.com/"}
    assert requests.get(f"http://127.0.0.1:{site.port}/path?q=1", headers=headers, timeout=PATIENCE).ok
    [line] = access_lines(caplog, 1)
    assert re.fullmatch(
        rf'127\.0\.0\.1 - - {TIME} "GET /path\?q=1 HTTP/1\.1" 200 5 "http://example\.com/" "tests/1\.0"', line
    ), line


def test_a_refused_request_is_a_line_too(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    site = serve()
    client = site.connect(None)
    client.send(b"garbage\r\n\r\n")
    client.read_to_end()
    [line] = access_lines(caplog, 1)
    assert re.fullmatch(rf'127\.0\.0\.1 - - {TIME} "-" 400 \d+ "-" "-"', line), line


def test_what_a_peer_sends_cannot_forge_or_colour_a_line(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = serve(application=application)
    client = site.connect(None)
    client.send(b'GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: "\\\x9b31m\r\nConnection: close\r\n\r\n')
    client.read_to_end()
    [line] = access_lines(caplog, 1)
    assert line.endswith(r'"\x22\x5c\x9b31m"')


def test_a_closed_websocket_is_a_line_with_code_duration_and_traffic(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(Echo()).connect("/service?room=1", "User-Agent: tests/1.0")
    for text in ("one", "two"):
        client.send(masked(TEXT, text))
        client.frame()
    client.send(close_frame(4000))
    client.read_to_end()
    client.close()
    [line] = access_lines(caplog, 1)
    expected = (
        r'"WEBSOCKET /service\?room=1" 4000 \d+\.\d{3}s received 2 messages 26 bytes sent 2 messages 14 bytes'
    )
    assert re.fullmatch(rf'127\.0\.0\.1 - - {TIME} {expected} "tests/1\.0"', line), line


def test_a_handler_that_waits_loses_no_line(serve: Serve) -> None:
    class Slow(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[str] = []

        def emit(self, record: logging.LogRecord) -> None:
            gevent.sleep(0.01)
            self.lines.append(record.getMessage())

    slow = Slow()
    logger = logging.getLogger("geventkws.access")
    logger.addHandler(slow)
    try:
        service = Recorder()
        site = serve(service)
        clients = [site.connect() for _ in range(10)]
        for client in clients:
            client.reset()
        with gevent.Timeout(PATIENCE):
            while len(slow.lines) < 10:
                gevent.sleep(0.005)
    finally:
        logger.removeHandler(slow)
