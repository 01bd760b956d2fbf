"""``max_connection_age``: connections end in good order when they are old enough, but not all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

import gevent
import pytest

from tests.integration.conftest import Echo, Recorder, Serve
from tests.raw import TEXT, Frame, close_frame, masked, upgrade_request

AGE = 0.4
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"

pytestmark = pytest.mark.usefixtures("in_time")


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_a_websocket_is_closed_with_1012_however_busy_it_is(serve: Serve) -> None:
    service = Echo()
    began = monotonic()
    client = serve(service, max_connection_age=AGE).connect()
    service.expect("connected")
    echoes = 0
    while True:
        client.send(masked(TEXT, "go on"))
        if client.frame() != Frame(TEXT, b"go on"):
            break
        service.expect("received", "go on")
        echoes += 1
        gevent.sleep(0.01)
    assert monotonic() - began >= 0.9 * AGE
    assert echoes > 1


def test_disconnected_gets_1012(serve: Serve) -> None:
    service = Recorder()
    client = serve(service, max_connection_age=AGE).connect()
    service.expect("connected")
    assert client.close_code() == (1012, "This connection has lived long enough")
    client.send(close_frame(1012))
    service.expect("disconnected", 1012)


def test_http_closes_after_its_next_response(serve: Serve) -> None:
    site = serve(application=hello, max_connection_age=AGE)
    client = site.connect(None)
    client.send(GET)
    assert "Connection: close" not in client.read_head()
    assert client.read_body(5) == b"hello"
    gevent.sleep(AGE + 0.2)
    assert site.server.http_connections == 1, "idle, it is not cut off"
    client.send(GET)
    assert "Connection: close" in client.read_head()
    assert client.read_to_end() == b"hello"


def test_the_age_counts_from_the_start_of_the_connection_and_not_from_its_upgrade(serve: Serve) -> None:
    site = serve(Recorder(), application=hello, max_connection_age=60)
    client = site.connect(None)
    client.send(GET)
    assert client.read_head().startswith("HTTP/1.1 200 ")
    assert client.read_body(5) == b"hello"
    aging = site.server._connections._aging
    assert aging is not None
    (end,) = aging._ends.values()
    client.send(upgrade_request("/service"))
    assert client.read_head().startswith("HTTP/1.1 101 ")
    assert [*aging._ends.values()] == [end]


def test_one_that_is_too_old_when_it_is_upgraded_is_closed_at_once(serve: Serve) -> None:
    site = serve(Recorder(), application=hello, max_connection_age=AGE)
    client = site.connect(None)
    gevent.sleep(AGE + 0.2)
    client.send(upgrade_request("/service"))
    assert client.read_head().startswith("HTTP/1.1 101 ")
    assert client.close_code()[0] == 1012


def test_those_that_come_together_do_not_leave_together(serve: Serve) -> None:
    service = Recorder()
    site = serve(service, max_connection_age=AGE)
    clients = [site.connect() for _ in range(20)]
    aging = site.server._connections._aging
    assert aging is not None
    ends = aging._ends.values()
    assert len(ends) == len(clients)
    assert max(ends) - min(ends) > 0.02 * AGE
    for client in clients:
        client.close()
    site.wait_until_empty()
    assert not ends


def test_without_a_limit_nothing_is_kept(serve: Serve) -> None:
    assert serve(Recorder()).server._connections._aging is None
