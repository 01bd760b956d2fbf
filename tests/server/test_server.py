"""What the server does with its listener."""

from __future__ import annotations

import inspect
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, get_type_hints

import gevent
import pytest
from gevent.monkey import get_original

from geventkws.options import Options
from geventkws.registry import ServiceRegistry
from geventkws.server import exhaustion, server
from geventkws.server.log_limit import LogLimit
from geventkws.server.start_up import ServerKeywords
from tests.integration.conftest import Serve
from tests.raw import RawClient
from tests.waiting import PATIENCE, wait_until

Socket: Any = get_original("socket", "socket")

GET = b"GET / HTTP/1.1\r\nHost: own\r\nConnection: close\r\n\r\n"


def tell(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def test_the_keywords_for_type_checkers_are_those_of_a_server() -> None:
    parameters = inspect.signature(server.WebSocketServer).parameters.values()
    keywords = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert set(get_type_hints(ServerKeywords)) == {*keywords, *get_type_hints(Options)}


def test_a_subclass_may_override_handle_as_in_gevent() -> None:
    class Choosy(server.WebSocketServer):
        addresses: ClassVar[list[Any]] = []

        def handle(self, transport: Any, address: Any) -> None:
            self.addresses.append(address)
            if len(self.addresses) > 1:
                transport.close()
            else:
                super().handle(transport, address)

    choosy = Choosy(("127.0.0.1", 0), tell, ServiceRegistry())
    choosy.start()
    try:
        with RawClient(choosy.server_port or 0) as first:
            first.send(GET)
            assert first.read_to_end().startswith(b"HTTP/1.1 200 ")
            assert Choosy.addresses == [first.sock.getsockname()]
        with RawClient(choosy.server_port or 0) as second:
            assert second.read_to_end() == b""
    finally:
        choosy.stop(timeout=1)


def test_a_request_that_comes_with_its_connection_may_close_the_listener(
    serve: Serve, capfd: pytest.CaptureFixture[str]
) -> None:
    def application(environ, start_response):
        site.server.close()
        return tell(environ, start_response)

    site = serve(application=application)
    client, waiting = (site.connect(None, sock=Socket()) for _ in range(2))
    for each in (client, waiting):
        each.sock.connect(("127.0.0.1", site.port))  # without letting the hub run
    client.send(GET)
    wait_until(lambda: site.server.closed)
    assert client.read_to_end().startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionResetError):
        waiting.read_to_end()
    assert "Traceback" not in capfd.readouterr().err


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let the process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.logs_errors
def test_without_descriptors_connections_wait_and_the_log_says_so_once_a_minute(
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exhaustion, "ACCEPT_PAUSE", 0.01)
    monkeypatch.setattr(exhaustion, "_limit", LogLimit(60))
    site = serve(application=tell)
    clients = [site.connect(None, sock=socket.socket()) for _ in range(3)]
    with no_descriptors():
        for client in clients:
            client.sock.settimeout(PATIENCE)
            client.sock.connect(("127.0.0.1", site.port))
        gevent.sleep(0.1)
        assert site.server.http_connections == 0
    for client in clients:
        client.send(GET)
        assert client.read_to_end().startswith(b"HTTP/1.1 200 ")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "[Errno 24]" in record.getMessage()
    assert "Traceback" not in capfd.readouterr().err
