"""The smallest application, and clients who ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.integration.conftest import Site
from tests.raw import RawClient

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello"]


def exchange(site: Site, data: bytes) -> bytes:
    with RawClient(site.port) as client:
        client.send(data)
        return client.read_to_end()


def answered(client: RawClient) -> None:
    """Send a request and read the response, so that the connection is certainly counted."""
    client.send(GET)
    assert client.read_head().startswith("HTTP/1.1 200")


def turned_away(site: Site, data: bytes = GET) -> bool:
    return exchange(site, data).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
