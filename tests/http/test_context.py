from __future__ import annotations

from geventkws.http.connection import HTTPConnection
from geventkws.http.context import HTTPContext
from geventkws.http.environ import EnvironBuilder
from geventkws.options import ServerOptions
from geventkws.stream import Stream
from tests.http.memory import MemoryTransport
from tests.raw import upgrade_request

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def answers(data: bytes, **options) -> bytes:
    transport = MemoryTransport([data])
    context = HTTPContext(EnvironBuilder("h", 80), options=ServerOptions(**options))
    HTTPConnection(Stream(transport), context, ("192.0.2.1", 5000)).run()
    return transport.written


def test_without_services_and_log_an_upgrade_goes_to_the_application() -> None:
    assert answers(upgrade_request("/")).startswith(b"HTTP/1.1 404 Not Found")


def test_without_an_application_there_is_nothing() -> None:
    assert answers(GET).startswith(b"HTTP/1.1 404 Not Found")
