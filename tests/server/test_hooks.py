"""What a program does once when its server starts, and once when it stops."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from geventkws import WebSocketServer
from tests.integration.conftest import Echo, Serve, Site
from tests.programs import Program
from tests.waiting import PATIENCE


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def test_on_start_is_called_when_clients_can_connect() -> None:
    seen: list[bool] = []
    server: WebSocketServer = WebSocketServer(
        ("127.0.0.1", 0), on_start=lambda: seen.append(can_connect(server.server_port or 0))
    )
    server.start()
    server.stop(timeout=1)
    assert seen == [True]


def test_on_stop_is_called_once_and_the_listener_is_still_open(serve: Serve) -> None:
    seen: list[bool] = []
    site: Site = serve(Echo(), on_stop=lambda: seen.append(can_connect(site.port)))
    site.server.stop(timeout=1)
    site.server.stop(timeout=1)
    assert seen == [True]
    assert not can_connect(site.port)


def test_a_message_sent_in_on_stop_arrives_before_the_close(serve: Serve) -> None:
    service = Echo()
    site = serve(service, on_stop=lambda: service.connections[0].send("the end is near"))
    client = site.connect()
    service.expect("connected")
    stopping = gevent.spawn(site.server.stop, 1)
    assert client.frame().payload == b"the end is near"
    assert client.close_code()[0] == 1001
    client.close()
    stopping.get(timeout=PATIENCE)


def test_an_exception_in_on_start_stops_the_server_and_is_raised() -> None:
    ends: list[str] = []

    def fail() -> None:
        raise LookupError("no database")

    server: WebSocketServer = WebSocketServer(
        ("127.0.0.1", 0), on_start=fail, on_stop=lambda: ends.append("stopped")
    )
    with pytest.raises(LookupError, match="no database"):
        server.start()
    assert server.stopping
    assert server.closed
    assert ends == []


def fail_in_the_end() -> None:
    raise LookupError("no database")


def time_out() -> None:
    raise gevent.Timeout


@pytest.mark.logs_errors
@pytest.mark.parametrize("on_stop", [fail_in_the_end, time_out])
def test_an_exception_in_on_stop_is_logged_and_the_server_stops(
    serve: Serve, caplog: pytest.LogCaptureFixture, on_stop: Callable[[], object]
) -> None:
    site = serve(Echo(), on_stop=on_stop)
    site.server.stop(timeout=1)
    assert site.server.closed
    assert "on_stop failed" in caplog.text


@pytest.mark.logs_errors
def test_an_on_stop_that_does_not_return_does_not_hold_up_the_stop(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    never = Event()
    site = serve(Echo(), on_stop=never.wait)
    with gevent.Timeout(PATIENCE):
        site.server.stop(timeout=0.05)
    never.set()
    assert site.server.closed
    assert "on_stop has not returned after 0.05 s" in caplog.text


FORKING = """
from gevent import monkey; monkey.patch_all()
import os
from geventkws import WebSocketServer

parent = os.getpid()

def end():
    print("on_stop in the", "parent" if os.getpid() == parent else "child", flush=True)

server = WebSocketServer(("127.0.0.1", 0), on_stop=end)
server.start()
if not os.fork():
    server.stop(timeout=0)
    print("the child has stopped", flush=True)
    os._exit(0)
os.wait()
server.stop(timeout=1)
"""


def test_on_stop_is_the_parents_after_a_fork() -> None:
    with Program(sys.executable, "-c", FORKING) as program:
        program.expect("the child has stopped")
        program.expect("on_stop in the parent")
        assert program.wait() == 0
    assert "on_stop in the child" not in program.output


@pytest.mark.parametrize("name", ["on_start", "on_stop"])
@pytest.mark.parametrize("value", ["app:start", 5])
def test_what_cannot_be_called_is_refused(name: str, value: Any) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(TypeError, match=f"option '{name}' must be a function"):
        WebSocketServer(("127.0.0.1", 0), **options)
